"""What two ranks reach against one process with two threads, for a language model and a GAN, by the same command.

Usage: python tests/bench/ranks.py [--rounds N] [--only NAME] [override ...]

The same batch in every step, halved between the ranks; both take turns, so that a change of the machine's speed meets
both. The rate is that of training, as the run itself reports it: without starting processes and without evaluation.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile

from aigc.runs import list_runs

EXPERIMENTS = {
    "language model": (["experiment=lm/tang_quatrains", "trainer.max_steps=80"], 8),
    "GAN": (["experiment=gan/letters", "trainer.max_steps=120"], 64),
}
COMMON = ["evaluation=null", "callbacks.checkpoints.keep_best=0", "logger=none", "trainer.accelerator=cpu"]
SIDES = {1: ["trainer.devices=1", "trainer.num_threads=2"], 2: ["trainer.devices=2", "trainer.num_threads=1"]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=list(EXPERIMENTS), help="one of the two")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    for name, (experiment, batch) in EXPERIMENTS.items():
        if options.only not in (None, name):
            continue
        ratios = []
        for number in range(options.rounds):
            rates = {ranks: rate([*experiment, *options.overrides], ranks, batch) for ranks in SIDES}
            ratios.append(rates[2] / rates[1])
            print(
                f"{name}, round {number + 1}: one process {rates[1]:,.0f}, two ranks {rates[2]:,.0f} a second",
                flush=True,
            )
        print(f"{name}: two ranks / one process with two threads: {statistics.median(ratios):.3f}", flush=True)


def rate(experiment: list[str], ranks: int, batch: int) -> float:
    """Units per second of all ranks together."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [*experiment, *COMMON, *SIDES[ranks], f"data.batch_size={batch // ranks}", f"paths.outputs={folder}"]
        done = subprocess.run(
            [sys.executable, "-m", "aigc.cli.main", "train", *settings], capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        return float(list_runs(f"{folder}/runs")[0].manifest["result"]["per_second"])


if __name__ == "__main__":
    main()
