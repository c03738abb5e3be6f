"""`aigc generate RUN`: text or images from a run's model."""

import argparse

from aigc.cli.parts import generate_images, generate_texts
from aigc.cli.parts.options import VerbParser, add_trust, use_trusted


def parser() -> argparse.ArgumentParser:
    """The verb's arguments."""
    made = VerbParser(
        "generate",
        "Make what a run's model makes.\n"
        "Texts, to stdout: for prompt=TEXT, for each line of a file, or for each line of stdin. Without any prompt\n"
        "the model starts by itself.\n"
        "Images, to files whose names are printed: one grid (a name ending in .png), single files (a folder), or an\n"
        "animation from image to image (a name ending in .webp). Each image depends on its seed and label alone.",
        "aigc generate latest prompt=床前明月光，疑是地上霜。 num_samples=3 temperature=0.8\n"
        "  aigc generate gan-letters labels=A,B,C num_images=30 seed=7 --out abc.png\n"
        "  aigc generate gan-letters seed=0,3,7 labels=S interpolation=24 --out way.webp",
        lambda: f"{generate_texts.keys_help()}\n\n{generate_images.keys_help()}",
    )
    made.add_argument("run", metavar="RUN", help="run id, the beginning of one, a path, or latest")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="what to make, see below")
    made.add_argument("--prompts", metavar="FILE", help="texts: read prompts from a file, one a line; - is stdin")
    made.add_argument(
        "--out", metavar="FILE|FOLDER", help="images: FILE.png, FOLDER or FILE.webp (./<run id>-<seed>.png)"
    )
    made.add_argument("--force", action="store_true", help="images: replace files that exist")
    made.add_argument("--json", action="store_true", help="print one JSON object a text or file")
    add_trust(made)
    return made


def run(options: argparse.Namespace) -> None:
    """Make texts or images, as the run's model does."""
    from aigc.runs import Run

    use_trusted(options.trust)
    one = Run.open(options.run)
    (generate_images if one.makes_images else generate_texts).generate(one, options)
