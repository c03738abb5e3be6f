"""Tells the run's heartbeat what training is doing, so that status.json is true at every moment."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from aigc.runs.heartbeat import Heartbeat
from aigc.tasks import Task


class KeepStatus(Callback):
    """Passes the step and the activity on; the heartbeat's own thread writes them.

    Args:
        heartbeat: The run's heartbeat.
    """

    def __init__(self, heartbeat: Heartbeat):
        self.heartbeat = heartbeat

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """A resumed run does not begin at step 0."""
        assert isinstance(module, Task)
        self.heartbeat.step = module.steps_done

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Also the end of a validation or a save."""
        self.heartbeat.activity = "training"

    def on_before_backward(self, trainer: Trainer, module: LightningModule, loss: Tensor) -> None:
        """Another callback may have saved after this one's `on_train_batch_start`."""
        self.heartbeat.activity = "training"

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Pass on the step."""
        assert isinstance(module, Task)
        self.heartbeat.step = module.steps_done

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Measuring what the model generates belongs to it."""
        self.heartbeat.activity = "validating"

    def on_validation_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Another callback may have saved before the first batch."""
        self.heartbeat.activity = "validating"

    def on_evaluation_start(self, trainer: Trainer, module: Task) -> None:
        """Measuring generated images is none of Lightning's validations."""
        self.heartbeat.activity = "evaluating"

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """A large checkpoint on a slow disk takes minutes."""
        self.heartbeat.activity = "saving"
