"""The values that a task records, for loggers, callbacks, progress bars and the final table."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from pytorch_lightning import LightningModule

from aigc.logger import MetricsFileLogger


class Recorder(LightningModule):
    """A module that keeps its recorded values and sends them to whoever watches them."""

    headline: ClassVar[tuple[str, ...]] = ("train/loss",)
    """Names of the recorded values that the progress display shows."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: dict[str, float] = {}
        """The last recorded value of each name."""
        self.signatures: dict[str, str] = {}
        """The signatures of recorded values, by the same names, of metrics that have one."""
        self.recorded_at: dict[str, int] = {}
        """The step of the last recorded value of each name."""

    @property
    @abstractmethod
    def steps_done(self) -> int:
        """Optimiser steps that were done."""

    def record(self, values: Mapping[str, float], signatures: Mapping[str, str] | None = None) -> None:
        """Send values (`train/loss`, `val/bleu`) to every logger under the current step, and to `callback_metrics`.

        Lightning's own `log` counts batches, not steps, after accumulation or validation, so it is not used.

        Args:
            values: Name to value; the same on all ranks.
            signatures: Signatures of metrics by the names of their values; kept in metrics.jsonl and the manifest.
        """
        self.latest.update(values)
        self.recorded_at.update(dict.fromkeys(values, self.steps_done))
        self.signatures.update(signatures or {})
        self.show_to_callbacks(values)
        for logger in self.trainer.loggers:
            if isinstance(logger, MetricsFileLogger):
                logger.log_metrics(dict(values), self.steps_done, signatures)
            else:
                logger.log_metrics(dict(values), step=self.steps_done)

    def show_to_callbacks(self, values: Mapping[str, float]) -> None:
        """Put values where Lightning's own callbacks and progress bars look for them."""
        shown = {name: torch.tensor(float(value), dtype=torch.float64) for name, value in values.items()}
        self.trainer.callback_metrics.update(shown)
        self.trainer.logged_metrics.update(shown)
        in_bar = {name: float(value) for name, value in values.items() if name in self.headline}
        self.trainer.progress_bar_metrics.update(in_bar)
