"""Tokens per second of the default training on a quiet machine, and beside one busy process per core.

Usage: python tests/bench/contention.py [--rounds N] [--seconds S] [--spins N ...] [override ...]

Each setting of OpenMP's waiting has a process of its own, which trains when it is told to and sleeps otherwise. The
settings take turns within a round, in the reverse order in every second one, so that a change of the machine's speed
meets all of them. Printed are the medians of the rounds and their ratios to OpenMP's default. aigc takes the first
value of `--spins` on a quiet machine, and the second on a busy one.
"""

import argparse
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aigc.launch.spinning import OWN_SETTINGS, SPINS, SPINS_WHEN_BUSY

DEFAULT = "OpenMP's default"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=5.0, help="of training per setting, load and round")
    parser.add_argument("--spins", type=int, nargs="*", default=[SPINS, SPINS_WHEN_BUSY], help="of GOMP_SPINCOUNT")
    parser.add_argument("--as-trainer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    if options.as_trainer:
        train_on_demand(options.overrides)
        return
    settings: dict[str, dict[str, str]] = {DEFAULT: {}}
    settings |= {f"GOMP_SPINCOUNT={spins}": {"GOMP_SPINCOUNT": str(spins)} for spins in options.spins}
    trainers = {name: Trainer(variables, options.overrides) for name, variables in settings.items()}
    rates: dict[tuple[str, str], list[float]] = {}
    try:
        for number in range(options.rounds):
            for load, cores in (("quiet", 0), ("busy", len(os.sched_getaffinity(0)))):
                with busy(cores):
                    for name in list(trainers)[:: 1 if number % 2 else -1]:
                        rates.setdefault((name, load), []).append(trainers[name].measure(options.seconds))
            latest = "  ".join(f"{name} {load} {values[-1]:,.0f}" for (name, load), values in rates.items())
            print(f"round {number + 1}: {latest}", flush=True)
    finally:
        for trainer in trainers.values():
            trainer.end()
    medians = {key: statistics.median(values) for key, values in rates.items()}
    print(f"{'tokens/s':<28}{'quiet':>10}{'ratio':>8}{'busy':>10}{'ratio':>8}")
    for name in settings:
        columns = ""
        for load in ("quiet", "busy"):
            columns += f"{medians[name, load]:10,.0f}{medians[name, load] / medians[DEFAULT, load]:8.2f}"
        print(f"{name:<28}{columns}")


class Trainer:
    """A process that trains the default experiment while it is asked to.

    Args:
        variables: Of its environment; those of a person are left out.
        overrides: Of the config.
    """

    def __init__(self, variables: dict[str, str], overrides: Sequence[str]) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in OWN_SETTINGS} | variables
        command = [sys.executable, __file__, "--as-trainer", *overrides]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()  # it is warm

    def measure(self, seconds: float) -> float:
        """Return the tokens per second over some seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> float:
        assert self._process.stdout is not None
        return float(self._process.stdout.readline())


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep so many cores busy."""
    # Each in a session of its own, as programs of other terminals: Linux shares the cores among sessions.
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command, start_new_session=True) for _ in range(cores)]
    time.sleep(0.5 if cores else 0.0)
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def train_on_demand(overrides: Sequence[str]) -> None:
    """Train, as often as stdin has a line with seconds, for so long, and print tokens per second."""
    from pytorch_lightning import Callback

    from aigc.callbacks import ExactState
    from aigc.config import compose
    from aigc.launch import components
    from aigc.launch.trainer import build_trainer
    from aigc.logger import MetricsFileLogger
    from aigc.runs import Run
    from aigc.runs.console import show_messages

    class OnDemand(Callback):
        """Waits for the next line once its seconds are over."""

        warm_up = 10

        def __init__(self) -> None:
            self.end, self.began, self.tokens = 0.0, 0.0, 0

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            self.tokens += module.amount(batch)
            now = time.perf_counter()
            if trainer.global_step < self.warm_up or now < self.end:
                return
            print(self.tokens / (now - self.began), flush=True)
            seconds = float(sys.stdin.readline() or "nan")
            self.began, self.tokens = time.perf_counter(), 0
            self.end = self.began + seconds

    show_messages(logging.ERROR)
    cfg = compose(
        ["trainer.max_steps=1000000", "evaluation=null", "trainer.validate_every_n_steps=1000000", *overrides]
    )
    components.prepare_machine(cfg)
    data = components.build_data(cfg)
    task = components.build_task(cfg, data)
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [*components.build_callbacks(cfg, "callbacks").values(), ExactState(), OnDemand()]
        loggers = [MetricsFileLogger(Run(Path(folder)))]
        trainer = build_trainer(cfg, Path(folder), callbacks, loggers)
        trainer.fit(task, train_dataloaders=data.train_dataloader())


if __name__ == "__main__":
    main()
