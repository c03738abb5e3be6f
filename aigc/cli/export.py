"""`aigc export RUN`: write a run's model as self-contained files."""

import argparse
from pathlib import Path

from aigc.cli.parts.options import VerbParser, add_trust, use_trusted
from aigc.inference.base import SAFETENSORS
from aigc.printing import print_json


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    from aigc.inference.find import kinds

    every = kinds()
    formats = list(dict.fromkeys(form for kind in every for form in kind.formats))
    shown = "\n".join(
        f"  {form:<12} {kind.makes}: {kind.formats[form]}" for form in formats for kind in every if form in kind.formats
    )
    made = VerbParser(
        "export",
        "Write a run's model to a separate folder. The files are first loaded again, and the outputs for fixed inputs\n"
        "are compared: bit for bit for safetensors, to 1e-5 for other formats. Of an image model, the averaged\n"
        "generator is written, with a config.json that rebuilds it and names its classes. A model of Transformers has\n"
        "its sampling settings and a model card with it.\n"
        f"\nformats:\n{shown}",
        "aigc export latest --out my_model\n  aigc export gan-letters --checkpoint best --format onnx --out letters",
    )
    made.add_argument("run", metavar="RUN", help="run id, a unique prefix, a path, or latest")
    made.add_argument("--format", metavar="FORMAT", default=SAFETENSORS, help="one of those above (safetensors)")
    made.add_argument("--out", metavar="FOLDER", help="the folder to write (./<run id>-<format>)")
    made.add_argument(
        "--checkpoint", metavar="NAME", help="last, best or step-N; without it, the model of a finished run"
    )
    made.add_argument(
        "--push", metavar="NAME", help="upload the files to the Hugging Face Hub as NAME or OWNER/NAME, private if new"
    )
    made.add_argument("--force", action="store_true", help="replace files that exist")
    made.add_argument("--json", action="store_true", help="print JSON")
    add_trust(made)
    return made


def run(options: argparse.Namespace) -> None:
    """Write, compare, and print the names of the files."""
    from aigc.runs import Run

    use_trusted(options.trust)
    one = Run.open(options.run)

    from aigc.inference.parts.export import export
    from aigc.inference.parts.hub import check_upload, upload
    from aigc.runs.console import show_messages

    show_messages()
    if options.push:
        check_upload(options.push)
    folder = Path(options.out).expanduser() if options.out else Path(f"{one.id}-{options.format}")
    files, compared, difference, note = export(one, options.format, folder, options.checkpoint, options.force)
    address = upload(files, folder, options.push, f"Export of {one.id}") if options.push else None
    if options.json:
        record = {"run_id": one.id, "format": options.format, "files": list(map(str, files)), "compared": compared}
        print_json(record | {"largest_difference": difference} | ({"address": address} if address else {}))
        return
    told = [*map(str, files), f"{compared}: largest difference {difference:g}", note, address]
    print("\n".join(filter(None, told)))
