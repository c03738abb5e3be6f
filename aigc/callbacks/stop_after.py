"""The end of a reproduction of a run's first steps, whose schedule is that of the whole run."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from aigc.callbacks.checkpoints import Checkpoints
from aigc.tasks import Task


class ReachedLastStep(Exception):
    """Training has reached the step that it was asked to stop after."""


class StopAfter(Callback):
    """Saves and stops between two steps; the last one is validated only where nothing else was recorded to compare.

    Args:
        step: The last step.
    """

    def __init__(self, step: int):
        self.step = step

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """End before the validation of the last step."""
        assert isinstance(module, Task)
        if module.latest:
            self._end_after(trainer, module)

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """End before the next step."""
        self._end_after(trainer, module)

    def _end_after(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Task)
        if module.steps_done < self.step:
            return
        for callback in trainer.callbacks:
            if isinstance(callback, Checkpoints):
                callback.save(trainer, module)
        raise ReachedLastStep
