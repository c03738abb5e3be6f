"""When checkpoints are saved, which of them is best, and how many are kept."""

import math
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pytorch_lightning import Callback, LightningModule, Trainer

from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.callbacks.intervals import validation_interval
from aigc.callbacks.monitored import check_recorded, recorded_names
from aigc.config.problems import ConfigError, Problem, suggest
from aigc.config.types import Bound
from aigc.distributed.sharding import ShardedData
from aigc.runs.checkpoints import CheckpointFolder, damage
from aigc.runs.console import log
from aigc.tasks import Task


class Checkpoints(Callback):
    """Saves before validations and evaluations, at intervals of steps or minutes, at the end, and when asked to stop.

    A checkpoint stands between two optimiser steps. One of a step that is validated was saved before the validation, so
    that one which is interrupted is simply run again. `last.ckpt` and `best.ckpt` are names of two of the files.

    Args:
        monitor: The value that decides which checkpoint is best; null takes that of the task, such as val/perplexity.
        mode: Whether a smaller (min) or a larger (max) value of the monitor is better; null takes what the task or a
            metric says of it, and must be given for any other value.
        every_n_steps: Optimiser steps between saves; null saves by time, at validations and at the end.
        every_n_minutes: Minutes between saves, which is what a crash can cost at most; null is never. `BetweenSteps`
            looks at the clock, as ranks must agree.
        keep: How many of the newest are kept; with two, one is left when the newest turns out damaged.
        keep_best: How many of the best are kept; 0 keeps the last ones only.
        asynchronous: Write in a thread while training goes on; needs memory for a second copy of the state, and a crash
            in the middle of a write costs the interval before it, too.
    """

    often_changed: ClassVar = ("monitor", "every_n_minutes")

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] | None = None,
        every_n_steps: Annotated[int, Bound(1)] | None = None,
        every_n_minutes: Annotated[float, Bound(0)] | None = 10.0,
        keep: Annotated[int, Bound(1)] = 2,
        keep_best: Annotated[int, Bound(0)] = 1,
        asynchronous: bool = False,
    ):
        self.monitor = monitor
        self.mode: str | None = mode
        self.every_n_steps = every_n_steps
        self.every_n_minutes = every_n_minutes
        self.keep = keep
        self.keep_best = keep_best
        self.asynchronous = asynchronous
        self.ranking: list[dict[str, Any]] = []
        """Step, value and all metrics of the best checkpoints, the very best first."""
        self.earlier: dict[str, Any] | None = None
        """The same of the result that the run had before it took more steps; it stays until it is bettered."""
        self.seconds = 0.0
        """Time that training has waited for saves, in this process."""
        self._saved_step = 0
        self._saved_at = time.monotonic()
        self._ended = False
        self._expected = False
        """Whether something says that it records the monitor."""
        self._warned = False
        """Whether its absence has been warned of."""

    @property
    def best(self) -> dict[str, Any] | None:
        """Step, value and all metrics of the best checkpoint so far."""
        return next(iter(self._candidates()), None)

    def _candidates(self) -> list[dict[str, Any]]:
        """Return the best checkpoints, that of an earlier end among them."""
        earlier = self.earlier
        if earlier is None or self.monitor is None or earlier["step"] in [one["step"] for one in self.ranking]:
            return self.ranking
        value = earlier["metrics"].get(self.monitor, math.nan)
        known = [] if math.isnan(value) else [earlier | {"value": value}]
        return self._sorted([*known, *self.ranking])  # the first of equal ones stays

    def _sorted(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(found, key=lambda one: one["value"], reverse=self.mode == "max")[: self.keep_best]

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Take the monitor of the task where none is given, and set up the writer.

        Raises:
            ConfigError: A thread cannot write shards: all ranks write them together.
        """
        if self.asynchronous and isinstance(trainer.strategy, ShardedData):
            what = "trainer.strategy=fsdp and model_parallel write shards, and only synchronously; set it to false"
            raise ConfigError([Problem("callbacks.checkpoints.asynchronous", what)])
        assert isinstance(module, Task)
        if self.monitor is None and module.monitor is not None:
            self.monitor, mode = module.monitor
            self.mode = self.mode or mode
        writer = trainer.strategy.checkpoint_io
        assert isinstance(writer, AtomicCheckpointIO)
        writer.asynchronous = self.asynchronous

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Check before the first step that something records the monitor.

        Raises:
            ConfigError: It is certain that only other values are recorded.
        """
        assert isinstance(module, Task)
        if self.monitor is None or not self.keep_best:
            return
        known, complete = recorded_names(trainer, module)
        self._expected = self.monitor in known
        check_recorded("callbacks.checkpoints.monitor", self.monitor, known, complete)
        if complete and not known and not self.monitor.startswith("train/"):
            log.warning("nothing is measured, so the last weights are kept: %s does not choose the best", self.monitor)
            self._warned = True

    def best_whole(self, trainer: Trainer, module: Task) -> dict[str, Any] | None:
        """Return the best whose weights are at hand; warn of one whose file is lost or damaged."""
        for one in self._candidates():
            reason = None if one["step"] == module.steps_done else damage(_folder(trainer).file(one["step"]))
            if reason is None:
                return one
            log.warning("the best checkpoint cannot be used: %s", reason)
        return None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Forget best ones whose files a later best had replaced before an older checkpoint was gone back to."""
        self.ranking = [one for one in self.ranking if _folder(trainer).file(one["step"]).exists()]
        if self.earlier and not _folder(trainer).file(self.earlier["step"]).exists():
            self.earlier = None

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Save every `every_n_steps`; `BetweenSteps` saves by the clock, on which ranks must agree."""
        assert isinstance(module, Task)
        if self.every_n_steps and module.ended_step() and module.steps_done % self.every_n_steps == 0:
            self.save(trainer, module)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Save first: validating takes time, and may fail."""
        assert isinstance(module, Task)
        if trainer.state.fn == "fit":
            self.save(trainer, module)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Keep as best what is better than everything before."""
        assert isinstance(module, Task)
        self._warn_early(trainer, module, validated=True)
        self._rank(trainer, module)

    def on_evaluation_start(self, trainer: Trainer, module: Task) -> None:
        """Save first, as before a validation; an evaluation between two steps calls this hook itself."""
        if module.steps_done:
            self.save(trainer, module)

    def on_evaluation_end(self, trainer: Trainer, module: Task) -> None:
        """Keep as best what is better than everything before."""
        if module.steps_done:
            self._warn_early(trainer, module, validated=False)
            self._rank(trainer, module)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Save an end within an epoch before it counts as the epoch's end: with more steps, the epoch continues."""
        assert isinstance(module, Task)
        if not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self.save(trainer, module)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Save the end."""
        assert isinstance(module, Task)
        self._ended = True
        self.save(trainer, module)
        trainer.strategy.checkpoint_io.wait()

    def save(self, trainer: Trainer, module: Task) -> None:
        """Save the state between two steps, unless this step has been saved; all ranks must call it."""
        if module.steps_done == self._saved_step:
            return
        began = time.perf_counter()
        step, folder = module.steps_done, _folder(trainer)
        best = self._best_steps()
        self._saved_step, self._saved_at = step, time.monotonic()
        trainer.save_checkpoint(
            folder.file(step), storage_options={"then": lambda: folder.added(step, self.keep, best)}
        )
        self.seconds += time.perf_counter() - began

    def late(self) -> bool:
        """Whether the time between saves is over."""
        return self.every_n_minutes is not None and time.monotonic() - self._saved_at >= 60 * self.every_n_minutes

    def state_dict(self) -> dict[str, Any]:
        """Return the best so far, so that a resumed run keeps comparing with it."""
        return {"ranking": self.ranking, "step": self._saved_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best so far from a checkpoint."""
        self.ranking, self._saved_step = state_dict["ranking"], state_dict["step"]

    def _rank(self, trainer: Trainer, module: Task) -> None:
        before = self._best_steps()
        if self._improve(module) and trainer.is_global_zero:
            trainer.strategy.checkpoint_io.wait()
            # With more steps, an end that is off the schedule is not measured, and the best of before count again.
            off_schedule = trainer.state.fn != "fit" and module.steps_done % validation_interval(trainer)
            unscheduled = self._ended or off_schedule
            others = [step for step in before if unscheduled and step not in self._best_steps()]
            _folder(trainer).added(self._saved_step, self.keep, [*self._best_steps(), *others])

    def warn_unless_measured(self, module: Task) -> None:
        """Warn, unless that was done before, that the monitor has not been measured so far."""
        if self.monitor is None or self.keep_best == 0 or self._warned or self.monitor in module.latest:
            return
        what = suggest(self.monitor, sorted(module.latest))
        log.warning("callbacks.checkpoints.monitor=%s was not measured; %s", self.monitor, what)
        self._warned = True

    def _warn_early(self, trainer: Trainer, module: Task, validated: bool) -> None:
        """Warn as soon as it is clear that what has just been measured should have given the monitor."""
        own = module.monitor is not None and self.monitor == module.monitor[0]
        later = own and not validated and module.has_validation(trainer.datamodule)
        if not self._expected and not later:
            self.warn_unless_measured(module)

    def _improve(self, module: Task) -> bool:
        if self.monitor is None or self.keep_best == 0 or module.steps_done != self._saved_step:
            return False
        if module.recorded_at.get(self.monitor) != module.steps_done:
            return False  # measured at an earlier step, whose weights these are not
        value = module.latest[self.monitor]
        if math.isnan(value):
            return False
        new = {
            "step": module.steps_done,
            "value": value,
            "metrics": dict(module.latest),
            "signatures": dict(module.signatures),
        }
        others = [one for one in self.ranking if one["step"] != module.steps_done]
        ranking = self._sorted([*others, new])
        improved = new in ranking
        self.ranking = ranking
        return improved

    def _best_steps(self) -> list[int]:
        return [one["step"] for one in self._candidates()]


def _folder(trainer: Trainer) -> CheckpointFolder:
    return CheckpointFolder(Path(trainer.default_root_dir) / "checkpoints")
