"""What every task shares: recording values under the step that a person counts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from aigc.config.problems import ConfigError, Problem


class Task(LightningModule):
    """A LightningModule whose measured values reach every logger, the callbacks and the final table alike."""

    unit = "examples"
    """What throughput counts."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: dict[str, float] = {}
        """The last recorded value of each name."""
        self.validated_at = -1
        """The step of the last validation."""
        self.gradient_norm: Tensor | None = None
        """Norm of all gradients before clipping, at the last step."""
        self._steps_before = 0

    @property
    def steps_done(self) -> int:
        """Optimiser steps as a person counts them; a task with several optimisers says which one counts."""
        return int(self.global_step)

    def record(self, values: Mapping[str, float]) -> None:
        """Send values (`train/loss`, `val/bleu`) to every logger under the current step.

        Lightning's own `log` counts batches, not steps, after accumulation or validation, so it is not used.
        """
        self.latest.update(values)
        for logger in self.trainer.loggers:
            logger.log_metrics(dict(values), step=self.steps_done)

    def at_logged_step(self) -> bool:
        """Whether this batch ended an optimiser step whose values are logged."""
        due = self.steps_done % self.trainer.log_every_n_steps == 0 or self.steps_done == self.trainer.max_steps
        return self.ended_step() and due

    def ended_step(self) -> bool:
        """Whether this batch ended an optimiser step, and was not only accumulated."""
        return self.steps_done > self._steps_before

    def on_train_batch_start(self, batch: Any, batch_index: int) -> None:
        """Note the step, as a batch that is accumulated ends none."""
        self._steps_before = self.steps_done

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm of all gradients; Lightning refuses this for fused optimisers even where nothing is scaled.

        Raises:
            ConfigError: A fused optimiser under float16 unscales gradients only after clipping would have seen them.
        """
        if not gradient_clip_val:
            return
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None and optimizer.defaults.get("fused"):
            what = "16-mixed cannot clip a fused optimiser; set optimizer.fused=false or trainer.precision=bf16-mixed"
            raise ConfigError([Problem("trainer.precision", what)])
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.gradient_norm = torch.nn.utils.clip_grad_norm_(parameters, gradient_clip_val)

    def on_validation_start(self) -> None:
        """Note the step, so that the end of training is validated once and only once."""
        self.validated_at = self.steps_done

    def amount(self, batch: Any) -> int:
        """How many units a batch holds."""
        return len(batch)

    def save_model(self, folder: Path) -> None:
        """Write what other tools load."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its model is saved")
