"""How long a sweep of many short trials takes, against a process for each trial.

Usage: python tests/bench/sweep.py [--trials N] [--single N]

A trial is ten steps of a language model of one layer, with its checkpoint, its validation and its model folder. The
sweep uses all cores; so do the single processes, of which only some are run, as many at once as there are cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from aigc.runs import list_runs

TRIAL = [
    "model.settings.n_layer=1",
    "model.settings.n_head=1",
    "model.settings.n_embd=16",
    "data.sequence_length=32",
    "data.batch_size=4",
    "trainer.max_steps=10",
    "trainer.limit_val_batches=2",
    "trainer.accelerator=cpu",
    "trainer.num_threads=1",
    "evaluation=null",
    "logger=none",
    "callbacks.progress=null",
]
AIGC = [sys.executable, "-m", "aigc.cli.main"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--single", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [*AIGC, "sweep", f"seed=range(0,{options.trials})", *TRIAL, f"paths.outputs={folder}"]
        run([*command, "--dry-run"], "listing the trials")
        seconds = run(command, f"{options.trials} trials")
        ends = sorted(ended(run) for run in list_runs(Path(folder) / "runs"))
        quarter = options.trials // 4
        first, last = ends[quarter - 1] - ends[0], ends[-1] - ends[-quarter]
        print(f"seconds from the 1st to the {quarter}th end: {first:.1f}; of the last {quarter}: {last:.1f}")
        run(command, "the same command again, all done")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        began = time.perf_counter()
        commands = [[*AIGC, "train", f"seed={n}", *TRIAL, f"paths.outputs={folder}"] for n in range(options.single)]
        list(pool.map(lambda one: subprocess.run(one, check=True, capture_output=True), commands))
        each = (time.perf_counter() - began) / options.single
    whole = each * options.trials
    print(f"a process each: {each:.2f} s a trial, so {whole:.0f} s for all: {whole / seconds:.1f} times as long")


def run(command: list[str], what: str) -> float:
    """Seconds of a command."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - began
    print(f"{what}: {seconds:.1f} s", flush=True)
    return seconds


def ended(run: object) -> float:
    """When a run ended, in seconds since 1970."""
    return datetime.fromisoformat(run.manifest["attempts"][-1]["end"]).timestamp()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
