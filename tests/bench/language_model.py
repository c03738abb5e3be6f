"""Real tokens per second and memory of training a language model: aigc, a plain loop, and other trainers.

Usage: python -m tests.bench.language_model [--steps N] [--rounds N] [--peers FOLDER] [--beside N] [--only NAME ...]

A GPT-2 of 4 layers and width 256 learns documents of one to six bundled poems. Padded in batches of 16 they are some
60 % padding, and packed into rows of 256 almost none. Every contender is a process of its own, with the same weights,
tokens, optimiser and clipping; it trains some steps when its turn comes and waits otherwise, so that a change of the
machine's speed meets all of them. Padding counts as nothing. The memory is the largest resident set of the process.
aigc bounds the spins of OpenMP's threads, as its commands do; the others have the default.
FOLDER holds the package trl (`pip install --no-deps --target FOLDER trl`).
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from aigc.assets import resolve
from aigc.launch.spinning import SPINS, SPINS_WHEN_BUSY, is_busy
from aigc.launch.trainer import cpu_is_faster_in_bf16
from tests.bench.contention import busy

ROWS, POEMS = 4000, 6
PAIRS = [
    ("aigc", "plain-packed", 0.97),
    ("aigc", "hf-trainer", 4.0),
    ("aigc-bf16", "hf-trainer-bf16", 3.5),
    ("aigc", "sft-packed", 6.0),
]
"""Two contenders, and how many times as fast the first is to be."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=8, help="steps of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--peers", type=Path, help="folder that holds trl")
    parser.add_argument("--beside", type=int, default=0, help="busy processes that share the machine")
    parser.add_argument("--only", nargs="*", help="contenders to measure")
    options = parser.parse_args()
    asked = options.only or dict.fromkeys(name for pair in PAIRS for name in pair[:2])
    names = [name for name in asked if can_run(name, options.peers)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        write_corpus(Path(folder) / "poems.jsonl")
        contenders = {name: stack.enter_context(contender(name, folder, options)) for name in names}
        stack.enter_context(busy(options.beside))
        rates: dict[str, list[float]] = {name: [] for name in names}
        memory: dict[str, int] = {}
        for round_number in range(options.rounds + 1):
            for name, process in contenders.items():
                turn = take_turn(name, process)
                memory[name] = turn["memory"]
                if round_number:  # the first turn warms up
                    rates[name].append(turn["tokens"] / turn["seconds"])
                    print(f"{name:<18}{rates[name][-1]:8,.0f} tokens/s", flush=True)
    report(rates, memory)


def report(rates: dict[str, list[float]], memory: dict[str, int]) -> None:
    """Print medians, memory and ratios."""
    for name, found in rates.items():
        median = f"median {statistics.median(found):8,.0f} tokens/s"
        print(f"{name:<18}{median}, peak memory {memory[name] / 2**10:6,.0f} MiB")
    for ours, theirs, least in PAIRS:
        if ours in rates and theirs in rates:
            ratios = [one / other for one, other in zip(rates[ours], rates[theirs], strict=True)]
            shown = " ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"{ours} / {theirs}: median {statistics.median(ratios):.2f}, at least {least} (turns: {shown})")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")


def can_run(name: str, peers: Path | None) -> bool:
    """Whether the machine and the folder have what a contender needs; says what is missing."""
    if name.endswith("bf16") and not cpu_is_faster_in_bf16(Path("/proc/cpuinfo").read_text()):
        print(f"{name} is not measured: this processor is no faster in bf16")
        return False
    if name.startswith("sft") and not (peers and (peers / "trl").is_dir()):
        print(f"{name} is not measured: --peers names no folder that holds trl")
        return False
    return True


def write_corpus(path: Path, most: int = POEMS) -> None:
    """Write documents of one to `most` poems with title and author; k poems are as frequent as 1/k."""
    lines = resolve("asset:tang_quatrains.tsv").read_text("utf-8").splitlines()[1:]
    poems = [line.replace("\t", "\n") for line in lines]
    draw = random.Random(0)
    counts = draw.choices(range(1, most + 1), [1 / count for count in range(1, most + 1)], k=ROWS)
    texts = ["\n".join(draw.choices(poems, k=count)) for count in counts]
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")


@contextmanager
def contender(name: str, folder: str, options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that trains, and waits at its first step."""
    turns = options.rounds + 1
    command = [sys.executable, "-m", "tests.bench.language_contenders", name, folder, str(options.steps), str(turns)]
    paths = [str(path) for path in (Path.cwd(), options.peers and options.peers.resolve()) if path]
    env = os.environ | (spins() if name.startswith("aigc") else {})
    env["PYTHONPATH"] = os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])
    with (Path(folder) / f"{name}.log").open("w") as log, waiting_process(command, env, log) as process:
        yield process


def spins() -> dict[str, str]:
    """The variable with which a command of aigc bounds the spins of threads."""
    return {"GOMP_SPINCOUNT": str(SPINS_WHEN_BUSY if is_busy() else SPINS)}


@contextmanager
def waiting_process(command: list[str], env: Mapping[str, str], errors: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that takes a turn for each line on its standard input."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=env
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def take_turn(name: str, process: subprocess.Popen[str]) -> dict[str, Any]:
    """Let a contender train its steps; returns tokens, seconds and memory in KiB."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        sys.exit(f"{name} has ended with code {process.wait()}")
    return dict(json.loads(line))


if __name__ == "__main__":
    main()
