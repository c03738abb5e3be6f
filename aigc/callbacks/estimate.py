"""An estimate of the time and the memory that a training takes, from its first steps."""

import resource
import sys
import time
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Timer

from aigc.callbacks.intervals import measuring_intervals
from aigc.printing import plural
from aigc.runs.console import log
from aigc.tasks import Task

_SECONDS, _STEPS = 3.0, 3
"""What is measured at least, after the first step, which allocates memory and may compile."""


class Estimate(Callback):
    """Logs once how long the steps that are left will take, how many validations follow, and the peak memory so far.

    Validations and evaluations enter the time once one has been measured. Nothing is recorded.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._first = 0
        self._pauses: list[float] = []
        self._paused_at = 0.0
        self._logged = False

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Leave the line to the first rank."""
        self._logged = not trainer.is_global_zero

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Measure, and log once enough is known."""
        assert isinstance(module, Task)
        if self._logged or not module.ended_step():
            return
        now = time.monotonic()
        if self._since is None:
            self._since, self._first, self._pauses = now, module.steps_done, []
            return
        steps, seconds = module.steps_done - self._first, now - self._since - sum(self._pauses)
        if steps >= _STEPS and seconds >= _SECONDS:
            self._logged = True
            self._log(trainer, module, seconds / steps)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop the clock."""
        self._paused_at = time.monotonic()

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock again."""
        self._pauses.append(time.monotonic() - self._paused_at)

    on_evaluation_start = on_validation_start
    on_evaluation_end = on_validation_end

    def _log(self, trainer: Trainer, module: Task, seconds_per_step: float) -> None:
        left = trainer.max_steps - module.steps_done
        if left <= 0:
            return
        seconds, pauses = left * seconds_per_step, _pauses_left(trainer, module)
        if self._pauses:
            seconds += pauses * sum(self._pauses) / len(self._pauses)
        limit = _time_left(trainer, module, seconds_per_step)
        if limit is not None and limit < seconds:
            log.info("about %s left until the time limit; peak memory %s", _words(limit), _memory(module))
            return
        more = f", and {plural(pauses, 'validation')} of unknown length" if pauses and not self._pauses else ""
        log.info("about %s left for %s%s; peak memory %s", _words(seconds), plural(left, "step"), more, _memory(module))


def _pauses_left(trainer: Trainer, module: Task) -> int:
    """Return how many validations, and evaluations between steps, follow until the end."""
    done, last = module.steps_done, trainer.max_steps
    intervals = measuring_intervals(trainer, module)
    return sum(last // every - done // every + (last % every > 0) for every in intervals)


def _time_left(trainer: Trainer, module: Task, seconds_per_step: float) -> float | None:
    """Return the seconds until a timer ends the run, which takes at least `trainer.min_steps`; None without one."""
    timers = [one.time_remaining() for one in trainer.callbacks if isinstance(one, Timer)]
    known = [max(0.0, left) for left in timers if left is not None]
    least = ((trainer.min_steps or 0) - module.steps_done) * seconds_per_step
    return max(min(known), least) if known else None


def _memory(module: Task) -> str:
    """Return the peak memory of this process, and of its GPU."""
    unit = 1 if sys.platform == "darwin" else 1024
    used = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30:.1f} GiB"
    if module.device.type == "cuda":
        used += f", {torch.cuda.max_memory_reserved(module.device) / 2**30:.1f} GiB on the GPU"
    return used


def _words(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
