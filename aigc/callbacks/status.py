"""Keeps the run's heartbeat informed, so that status.json is right at every moment."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from aigc.runs.heartbeat import Heartbeat
from aigc.tasks import Task


class KeepStatus(Callback):
    """Sets the step and the activity of the heartbeat, whose thread writes them.

    Args:
        heartbeat: The run's heartbeat.
    """

    def __init__(self, heartbeat: Heartbeat):
        self.heartbeat = heartbeat

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Set the step: a resumed run does not start at step 0."""
        assert isinstance(module, Task)
        self.heartbeat.step = module.steps_done

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Set the activity, also after a validation or a save."""
        self.heartbeat.activity = "training"

    def on_before_backward(self, trainer: Trainer, module: LightningModule, loss: Tensor) -> None:
        """Set the activity: another callback may have saved after `on_train_batch_start` of this one."""
        self.heartbeat.activity = "training"

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Set the step."""
        assert isinstance(module, Task)
        self.heartbeat.step = module.steps_done

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Set the activity; evaluations of generated texts are a part of it."""
        self.heartbeat.activity = "validating"

    def on_validation_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Set the activity: another callback may have saved before the first batch."""
        self.heartbeat.activity = "validating"

    def on_evaluation_start(self, trainer: Trainer, module: Task) -> None:
        """Set the activity: evaluations of images are not validations of Lightning."""
        self.heartbeat.activity = "evaluating"

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Set the activity: a large checkpoint on a slow disk takes minutes."""
        self.heartbeat.activity = "saving"
