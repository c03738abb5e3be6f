"""Keeps `checkpoints/last.ckpt`, and `best.ckpt` by one measured value."""

import math
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from aigc.config.problems import suggest
from aigc.runs.console import log
from aigc.tasks import Task


class Checkpoints(Checkpoint):
    """Saves after each validation, every so many steps, at the end, and when a run is stopped or fails.

    Args:
        monitor: The value that decides which checkpoint is best; null keeps the last one only.
        mode: Whether a smaller (min) or a larger (max) value is better.
        every_n_steps: Optimiser steps between saves; null saves at validations and at the end.
    """

    def __init__(
        self,
        monitor: str | None = "val/perplexity",
        mode: Literal["min", "max"] = "min",
        every_n_steps: int | None = None,
    ):
        super().__init__()
        self.monitor = monitor
        self.mode = mode
        self.every_n_steps = every_n_steps
        self.best: dict[str, Any] | None = None
        """Step, value and all metrics of the best checkpoint so far."""
        self._last_step = -1

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Save when the interval is over."""
        assert isinstance(module, Task)
        due = self.every_n_steps and module.steps_done % self.every_n_steps == 0
        if due and module.steps_done != self._last_step:
            self._save_last(trainer, module)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Save, and keep as best what is better than everything before."""
        assert isinstance(module, Task)
        improved = self._improve(module)  # first, as what is saved says which step was best
        self._save_last(trainer, module)
        if improved:
            trainer.save_checkpoint(self._folder(trainer) / "best.ckpt")

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Keep what was learned so far."""
        assert isinstance(module, Task)
        if module.steps_done > max(0, self._last_step):
            self._save_last(trainer, module)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Save the end."""
        assert isinstance(module, Task)
        if module.steps_done != self._last_step:
            self._save_last(trainer, module)

    def state_dict(self) -> dict[str, Any]:
        """The best so far, so that a resumed run does not start comparing anew."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best so far from a checkpoint."""
        self.best = state_dict["best"]

    def _save_last(self, trainer: Trainer, module: Task) -> None:
        trainer.save_checkpoint(self._folder(trainer) / "last.ckpt")
        self._last_step = module.steps_done

    def _improve(self, module: Task) -> bool:
        if self.monitor is None:
            return False
        if self.monitor not in module.latest:
            names = sorted(module.latest)
            log.warning(
                "callbacks.checkpoints.monitor=%s was not measured; %s", self.monitor, suggest(self.monitor, names)
            )
            return False
        value = module.latest[self.monitor]
        if math.isnan(value) or (self.best is not None and not self._better(value, self.best["value"])):
            return False
        self.best = {"step": module.steps_done, "value": value, "metrics": dict(module.latest)}
        return True

    def _better(self, value: float, best: float) -> bool:
        return value < best if self.mode == "min" else value > best

    @staticmethod
    def _folder(trainer: Trainer) -> Path:
        return Path(trainer.default_root_dir) / "checkpoints"
