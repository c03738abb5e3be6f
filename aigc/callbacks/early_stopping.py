"""Early stopping on the value that chooses the best checkpoint."""

from typing import Annotated, Any, ClassVar, Literal

from pytorch_lightning import LightningModule, Trainer, callbacks
from torch import Tensor

from aigc.callbacks.checkpoints import Checkpoints
from aigc.config.problems import ConfigError, Problem
from aigc.config.types import Bound
from aigc.runs.console import log
from aigc.tasks import Task


class EarlyStopping(callbacks.EarlyStopping):
    """Ends a run whose monitored value no longer improves; what it has learned is kept as that of any finished run.

    The value is compared after each validation that recorded it, and for images after each evaluation. A resumed run
    compares with the best before; patience and the other arguments may be changed then.

    Args:
        monitor: The value; null takes the one that chooses the best checkpoint, such as val/perplexity.
        mode: Whether a smaller (min) or a larger (max) value is better; null takes what the task, the checkpoints or a
            metric say of it, and must be given for any other value.
        patience: Comparisons without an improvement before the run ends.
        min_delta: Smallest change that is an improvement.
        stopping_threshold: End as soon as the value is better than this; null does not.
        divergence_threshold: End as soon as the value is worse than this; null does not.
    """

    often_changed: ClassVar = ("monitor", "patience")

    monitor: str
    mode: str
    min_delta: float
    best_score: Tensor

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] | None = None,
        patience: Annotated[int, Bound(1)] = 3,
        min_delta: Annotated[float, Bound(0)] = 0.0,
        stopping_threshold: float | None = None,
        divergence_threshold: float | None = None,
    ):
        super().__init__(
            monitor or "",
            min_delta,
            patience,
            mode=mode or "min",
            strict=False,
            stopping_threshold=stopping_threshold,
            divergence_threshold=divergence_threshold,
            check_on_train_epoch_end=False,
        )
        self._own_mode = mode
        self._missed = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the monitor that chooses checkpoints where none is given, and its mode.

        Raises:
            ConfigError: There is none.
        """
        assert isinstance(pl_module, Task)
        of_checkpoints = ((one.monitor, one.mode) for one in trainer.callbacks if isinstance(one, Checkpoints))
        own, mode = next((one for one in of_checkpoints if one[0]), pl_module.monitor or (None, "min"))
        if not self.monitor and own is None:
            what = f"{type(pl_module).__name__} has no monitor of its own; name a recorded value, such as val/fid"
            raise ConfigError([Problem("callbacks.early_stopping.monitor", what)])
        self.monitor, mode = self.monitor or str(own), mode or "min"
        if self._own_mode is None and self.monitor == own and self.mode != mode:
            self.mode = mode  # Lightning has made these two of the other one
            self.min_delta *= -1
            self.best_score = -self.best_score
        super().setup(trainer, pl_module, stage)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the value if it is of this step: an evaluation records less often than a validation."""
        assert isinstance(pl_module, Task)
        if self.monitor not in trainer.callback_metrics:
            if not self._missed:
                log.warning("early stopping: %s was not measured", self.monitor)
            self._missed = True
            return
        step = pl_module.recorded_at.get(self.monitor)
        if step in (None, pl_module.steps_done) or self.monitor.startswith("train/"):
            super().on_validation_end(trainer, pl_module)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best value and how long ago it was."""
        super().load_state_dict({**state_dict, "patience": self.patience})
