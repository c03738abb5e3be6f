"""Keeps status.json and the epoch of metrics.jsonl up to date while a run trains."""

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from aigc.logger import MetricsFileLogger
from aigc.runs import Run
from aigc.runs.status import Status, utc_now, write_status
from aigc.tasks import Task


class KeepStatus(Callback):
    """Writes the step reached into status.json, at most every few seconds.

    Args:
        run: The run.
        every_seconds: Seconds between writes.
    """

    def __init__(self, run: Run, every_seconds: float = 10.0):
        self.run = run
        self.every_seconds = every_seconds
        self._since = utc_now()
        self._written = 0.0

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Tell the metrics file which epoch it is."""
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFileLogger):
                logger.epoch = trainer.current_epoch

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Write the step."""
        assert isinstance(module, Task)
        if time.monotonic() - self._written >= self.every_seconds:
            self._written = time.monotonic()
            write_status(self.run.path, Status.RUNNING, step=module.steps_done, since=self._since)
