"""What streamed text costs: memory against the size of the file, and tokens per second against packed data.

Usage: python tests/bench/streaming.py [--megabytes N] [--rounds N]

Memory is the peak of a process that reads a file to its end, batch by batch, for a small and a large file. The rates
are those of the same text in turns in one process, of the loaders alone and with a model that learns from the batches.
Packed data have been tokenised before, so the time of that stands beside them.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WORDS = 20_000
STEPS = 10
READ = """
import resource, sys
from tests.bench.streaming import streamed, tokens_in
data = streamed(sys.argv[1])
tokens = tokens_in(data.train_dataloader(), None)
print(tokens, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small, large = corpus(Path(folder), 5), corpus(Path(folder), options.megabytes)
        for path in (small, large):
            done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            tokens, megabytes = done.stdout.split()
            size = path.stat().st_size / 1e6
            print(f"{size:,.0f} MB of text: {int(tokens):,} tokens, peak of memory {megabytes} MB", flush=True)
        compare(small, options.rounds)


def corpus(folder: Path, megabytes: int) -> Path:
    """A .jsonl file of random words."""
    path = folder / f"{megabytes}.jsonl"
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefghijklmnop", k=chance.randint(2, 9))) for _ in range(WORDS)]
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1e6:
            file.write(json.dumps({"text": " ".join(chance.choices(words, k=chance.randint(20, 200)))}) + "\n")
    return path


def streamed(path: str, ahead: int = 0) -> Any:
    """The stream of a file."""
    from aigc.data.text.stream_prepared import StreamTokenizer
    from aigc.data.text.streamed import StreamedText

    tokenizer = StreamTokenizer(kind="bpe", vocabulary_size=4000, sample=1000)
    data = StreamedText(path, tokenizer=tokenizer, cache=f"{Path(path).parent}/cache", num_workers=ahead)
    data.prepare_data()
    return data


def compare(path: Path, rounds: int) -> None:
    """Tokens per second of streamed and packed batches of one text, in turns."""
    from aigc.data.text.data import TextData
    from aigc.data.text.tokenizer import TokenizerSettings

    stream = streamed(str(path))
    kind = TokenizerSettings(kind="pretrained", path=str(stream.prepared.folder / "tokenizer"))
    packed = TextData(str(path), tokenizer=kind, cache=f"{path.parent}/cache", validation_fraction=0.0)
    began = time.perf_counter()
    packed.prepare_data()
    print(f"packed data are prepared in {time.perf_counter() - began:.1f} s")
    sides = {
        "streamed": stream.train_dataloader,
        "streamed by a process beside": streamed(str(path), ahead=1).train_dataloader,
        "packed": packed.train_dataloader,
    }
    alone: dict[str, list[float]] = {name: [] for name in sides}
    learning: dict[str, list[float]] = {name: [] for name in sides}
    learn = learner(stream)
    for _ in range(rounds):
        for name, loader in sides.items():
            alone[name].append(rate(loader(), None, lambda batch: None))
            learning[name].append(rate(loader(), STEPS, learn))
    for name in sides:
        print(
            f"{name}: {statistics.median(alone[name]):,.0f} tokens/s alone, "
            f"{statistics.median(learning[name]):,.0f} tokens/s with a model of 0.7 M parameters",
            flush=True,
        )


def learner(data: Any) -> Any:
    """Forward and backward of a small model."""
    import torch

    from aigc.models import TransformersCausalLM
    from aigc.tasks import CausalLM

    settings = {"n_layer": 1, "n_head": 4, "n_embd": 128}
    task = CausalLM(TransformersCausalLM(architecture="gpt2", settings=settings).create(data), torch.optim.SGD)
    parameters = list(task.parameters())

    def learn(batch: Any) -> None:
        task.token_losses(task(batch), batch["labels"]).sum().backward()
        for parameter in parameters:
            parameter.grad = None

    return learn


def rate(loader: Iterable[Any], most: int | None, use: Any) -> float:
    """Target tokens per second of so many batches after the first, which starts what has to be started."""
    batches = iter(loader)
    next(batches)
    began = time.perf_counter()
    tokens = tokens_in(batches, most, use)
    return tokens / (time.perf_counter() - began)


def tokens_in(batches: Iterable[Any], most: int | None, use: Any = lambda batch: None) -> int:
    """Target tokens of so many batches, each of them used."""
    tokens = 0
    for number, batch in enumerate(batches, 1):
        use(batch)
        tokens += batch["target_tokens"]
        if number == most:
            break
    return tokens


if __name__ == "__main__":
    main()
