"""What saving costs: the share of the default run's training time that waits for checkpoints, and what resuming costs.

Run it with `make bench-saving`. It trains the default experiment as `make train` does and prints seconds and shares;
then it opens a million samples at step 10 and at step 10 million and times the way to the first batch.
"""

import argparse
import statistics
import tempfile
import time

from aigc.callbacks import Checkpoints
from aigc.config import compose
from aigc.data.loader import training_loader
from aigc.launch.start import start
from aigc.launch.worker import work
from aigc.runs.console import show_messages


def saving(asynchronous: bool) -> tuple[float, float, int]:
    """Seconds of training, seconds spent saving, and the number of saves."""
    made: list[Checkpoints] = []
    saves = 0
    original, save = Checkpoints.__init__, Checkpoints.save

    def remembered(self: Checkpoints, *arguments: object, **named: object) -> None:
        original(self, *arguments, **named)
        made.append(self)

    def counted(self: Checkpoints, trainer: object, module: object) -> None:
        nonlocal saves
        before = self._saved_step
        save(self, trainer, module)
        saves += self._saved_step != before

    Checkpoints.__init__, Checkpoints.save = remembered, counted
    try:
        with tempfile.TemporaryDirectory() as folder:
            cfg = compose(
                [f"paths.outputs={folder}", f"callbacks.checkpoints.asynchronous={str(asynchronous).lower()}"]
            )
            run = start(cfg, []).run
            began = time.perf_counter()
            work(run)
            return time.perf_counter() - began, made[0].seconds, saves
    finally:
        Checkpoints.__init__, Checkpoints.save = original, save


class Nothing:
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
    parser.parse_args()
    show_messages()
    for asynchronous in (False, True):
        total, seconds, saves = saving(asynchronous)
        kind = "asynchronous" if asynchronous else "synchronous"
        print(f"{kind}: {saves} saves took {seconds:.2f} s of {total:.1f} s: {100 * seconds / total:.2f} %")
    for step in (10, 10_000_000):
        print(f"resuming at step {step:,}: {1000 * resuming(step):.1f} ms to the first batch of a million samples")


if __name__ == "__main__":
    main()
