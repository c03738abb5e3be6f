"""What the commands of the pages read: small texts, images, a model folder, and short versions of experiments."""

import json
import random
from pathlib import Path

from tests.conftest import REPOSITORY, WORDS, write

SHORT = {
    "lm/text": {"max_steps": 4, "validate_every_n_steps": 2},
    "lm/finetune": {"max_steps": 4, "validate_every_n_steps": 2, "samples": 4},
    "gan/images": {"max_steps": 4, "validate_every_n_steps": 4, "samples": 16, "every_n_steps": 4},
}


def shorten_experiments(place: Path) -> None:
    """Put experiments of a few steps into `conf/` of a working directory, where they come before the shipped ones."""
    for name, numbers in SHORT.items():
        lines = (REPOSITORY / f"conf/experiment/{name}.yaml").read_text("utf-8").splitlines()
        for key, number in numbers.items():
            (at,) = [at for at, line in enumerate(lines) if line.strip().startswith(f"{key}:")]
            lines[at] = f"{lines[at].partition(':')[0]}: {number}"
        write(place / f"conf/experiment/{name}.yaml", "\n".join(lines) + "\n")


def write_texts(path: Path, number: int = 300) -> None:
    """Write sentences of few words: one a line of a .txt, or in the column `text` of a .jsonl."""
    chance = random.Random(0)
    texts = [" ".join(chance.choices(WORDS, k=20)) for _ in range(number)]
    as_json = path.suffix == ".jsonl"
    write(path, "".join(f"{json.dumps({'text': text}) if as_json else text}\n" for text in texts))


def grow(path: Path, times: int = 150) -> None:
    """Repeat the examples of a file that a page shows, each time with another number in them."""
    text = path.read_text("utf-8")
    if path.suffix == ".txt":
        write(path, "\n".join(text.replace("The ", f"The {number} ") for number in range(times)))
        return
    rows = [json.loads(line) for line in text.splitlines()]
    first = next(iter(rows[0]))
    grown = [row | {first: f"{number} {row[first]}"} for number in range(times) for row in rows]
    write(path, "".join(json.dumps(row) + "\n" for row in rows + grown))


def draw_shapes(folder: Path, number: int = 40) -> None:
    """Draw circles and squares, each in the folder of its class."""
    from PIL import Image, ImageDraw

    chance = random.Random(0)
    for name in ("circle", "square"):
        (folder / name).mkdir(parents=True)
        for index in range(number):
            image = Image.new("RGB", (40, 32))
            corner = chance.randrange(16), chance.randrange(16)
            box, draw = (*corner, corner[0] + 12, corner[1] + 12), ImageDraw.Draw(image)
            (draw.ellipse if name == "circle" else draw.rectangle)(box, fill=(255, chance.randrange(256), 0))
            image.save(folder / name / f"{index}.png")


def draw_noise(place: Path) -> None:
    """Draw sixty images of each of the two folders that are compared."""
    from PIL import Image

    chance = random.Random(0)
    for name, most in (("generated", 255), ("real", 200)):
        (place / name).mkdir()
        for number in range(60):
            pixels = bytes(chance.randrange(most) for _ in range(16 * 16 * 3))
            Image.frombytes("RGB", (16, 16), pixels).save(place / name / f"{number}.png")


def save_tiny_model(folder: Path) -> None:
    """Save a model of random weights, with a tokenizer, in the layout of Transformers."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from aigc.data.text.tokenizer import TokenizerSettings, make_tokenizer

    settings = TokenizerSettings(kind="bpe", vocabulary_size=300)
    tokenizer = make_tokenizer(settings, ["What is the capital of Peru? ", "Lima."])
    torch.manual_seed(0)
    sizes = {"vocab_size": len(tokenizer), "n_positions": 256, "n_embd": 16, "n_layer": 1, "n_head": 2}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    GPT2LMHeadModel(GPT2Config(**sizes, **ends)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
