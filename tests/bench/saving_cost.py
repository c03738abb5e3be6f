"""What saving costs: the share of the default run's training time that waits for checkpoints, and what resuming costs.

Usage: python tests/bench/saving_cost.py [override ...]

It trains the default experiment as `make train` does and prints seconds and shares; then it opens a million samples at
step 10 and at step 10 million and times the way to the first batch.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from aigc.callbacks import Checkpoints
from aigc.config import compose
from aigc.data.loader import training_loader
from aigc.launch.start import start
from aigc.launch.worker import work
from aigc.runs.console import show_messages


def saving(asynchronous: bool, overrides: Sequence[str]) -> tuple[float, float, int]:
    """Seconds of training, seconds spent saving, and the number of saves."""
    made: list[Checkpoints] = []
    saves = 0
    original, save = Checkpoints.__init__, Checkpoints.save

    def remembered(self: Checkpoints, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        made.append(self)

    def counted(self: Checkpoints, trainer: Any, module: Any) -> None:
        nonlocal saves
        before = self._saved_step
        save(self, trainer, module)
        saves += self._saved_step != before

    Checkpoints.__init__, Checkpoints.save = remembered, counted
    try:
        with tempfile.TemporaryDirectory() as folder:
            kind = f"callbacks.checkpoints.asynchronous={str(asynchronous).lower()}"
            prepared = start(compose([f"paths.outputs={folder}", kind, *overrides]), [])
            began = time.perf_counter()
            work(prepared)
            return time.perf_counter() - began, made[0].seconds, saves
    finally:
        Checkpoints.__init__, Checkpoints.save = original, save


class Nothing(Dataset[int]):
    """A data set of many samples."""

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int) -> int:
        return index


def resuming(step: int, batch_size: int = 8) -> float:
    """Seconds to the first batch after that many steps; the median of five."""
    batches = len(Nothing()) // batch_size
    times = []
    for _ in range(5):
        loader = training_loader(Nothing(), batch_size, seed=0)
        began = time.perf_counter()
        loader.load_state_dict({"epoch": step // batches, "sample": step % batches * batch_size})
        next(iter(loader))
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    show_messages()
    for asynchronous in (False, True):
        total, seconds, saves = saving(asynchronous, options.overrides)
        kind = "asynchronous" if asynchronous else "synchronous"
        print(f"{kind}: {saves} saves took {seconds:.2f} s of {total:.1f} s: {100 * seconds / total:.2f} %")
    for step in (10, 10_000_000):
        print(f"resuming at step {step:,}: {1000 * resuming(step):.1f} ms to the first batch of a million samples")


if __name__ == "__main__":
    main()
