"""What every task shares: recording values under the step that a person counts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.distributed import ReduceOp
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from aigc.config.problems import ConfigError, Problem
from aigc.data.loader import EpochLoader
from aigc.distributed.clipping import clip_by_norm
from aigc.distributed.sharding import ShardedData
from aigc.errors import DivergedRun, InputError
from aigc.logger import MetricsFileLogger


class Task(LightningModule):
    """A LightningModule whose measured values reach every logger, the callbacks and the final table alike."""

    unit = "examples"
    """What throughput counts."""
    saved_model: str | None = None
    """Dotted path of the subclass of `aigc.inference.base.SavedModel` that reads what `save_model` writes."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: dict[str, float] = {}
        """The last recorded value of each name."""
        self.signatures: dict[str, str] = {}
        """How a recorded value was made, by the same names, where the metric says so."""
        self.recorded_at: dict[str, int] = {}
        """The step of the last recorded value of each name."""
        self.validated_at = -1
        """The step of the last validation."""
        self.gradient_norm: Tensor | None = None
        """Norm of all gradients before clipping, at the last step."""
        self._steps_before = 0
        self.begun_batch = -1
        """The batch (over all epochs) that was begun last."""
        self._bad_batch: Tensor | None = None

    @property
    def steps_done(self) -> int:
        """Optimiser steps as a person counts them; a task with several optimisers says which one counts."""
        return int(self.global_step)

    def record(self, values: Mapping[str, float], signatures: Mapping[str, str] | None = None) -> None:
        """Send values (`train/loss`, `val/bleu`) to every logger under the current step.

        Lightning's own `log` counts batches, not steps, after accumulation or validation, so it is not used.

        Args:
            values: Name to value.
            signatures: How values were made, by their names; metrics.jsonl, the manifest and the final table have them.
        """
        self.latest.update(values)
        self.recorded_at.update(dict.fromkeys(values, self.steps_done))
        self.signatures.update(signatures or {})
        for logger in self.trainer.loggers:
            if isinstance(logger, MetricsFileLogger):
                logger.log_metrics(dict(values), self.steps_done, signatures)
            else:
                logger.log_metrics(dict(values), step=self.steps_done)

    def over_ranks(self, value: Tensor | float, how: Any = ReduceOp.SUM) -> float:
        """The sum of a value over all ranks, in float64, or another reduction."""
        if self.trainer.world_size == 1:
            return float(value)
        shared = torch.tensor(float(value), dtype=torch.float64, device=self.trainer.strategy.root_device)
        torch.distributed.all_reduce(shared, op=how)
        return float(shared)

    def check_finite(self, value: Tensor, shared: bool = False) -> None:
        """Note whether a batch's loss, or the norm of its gradient, is a finite number.

        On a CPU it is told at once, before the optimiser step. On an accelerator that would stop it once a step, so
        there it is told at logged steps and before each save: a diverged state never gets into a checkpoint. The same
        goes for a loss of one of several ranks, which the others see in the averaged gradient.

        Args:
            value: One number.
            shared: Whether all ranks have the same number.

        Raises:
            DivergedRun: It is not; the message has the step and the samples of the batch.
        """
        batch = self.trainer.fit_loop.total_batch_idx
        bad = (~torch.isfinite(value.detach())).long() * (batch + 1) - 1  # torch.where waits for a GPU to take a number
        self._bad_batch = bad if self._bad_batch is None else torch.where(self._bad_batch >= 0, self._bad_batch, bad)
        if value.device.type == "cpu" and (shared or self.trainer.world_size == 1):
            self._raise_for_batch(int(self._bad_batch))

    def raise_if_non_finite(self) -> None:
        """Raise what `check_finite` has noted on any rank, if it has; all ranks must call it."""
        batch = -1 if self._bad_batch is None else int(self._bad_batch)
        self._raise_for_batch(int(self.over_ranks(batch, ReduceOp.MAX)))

    def validation_is_finite(self) -> bool:
        """Whether the losses of this rank in the last validation are finite; a task that knows them overrides it."""
        return True

    def raise_if_diverged(self) -> None:
        """Tell of a training loss, weights or a validation that is not finite; all ranks must call it, it waits.

        Raises:
            DivergedRun: There is one on some rank; the message has the step.
        """
        self.raise_if_non_finite()
        weights = [p.to_local() if isinstance(p, DTensor) else p for p in self.parameters()]
        finite = [torch.isfinite(weight.detach()).all() for weight in weights]
        bad = 2 if finite and not bool(torch.stack(finite).all()) else int(not self.validation_is_finite())
        if worst := int(self.over_ranks(bad, ReduceOp.MAX)):
            what = "weights are no finite numbers" if worst == 2 else "the validation loss is no finite number"
            raise DivergedRun(f"{what} after step {self.steps_done}; lower optimizer.lr and start anew")

    @property
    def saw_non_finite(self) -> bool:
        """Whether this rank has noted a number that is not finite; waits for its device."""
        return self._bad_batch is not None and int(self._bad_batch) >= 0

    def _raise_for_batch(self, batch: int) -> None:
        if batch < 0:
            return
        loop = self.trainer.fit_loop
        loader = self.trainer.train_dataloader
        in_epoch = loop.batch_idx - (loop.total_batch_idx - batch)
        samples = loader.indices(in_epoch) if isinstance(loader, EpochLoader) and in_epoch >= 0 else []
        step = batch // self.trainer.accumulate_grad_batches + 1
        shown = ", ".join(map(str, samples[:32])) + (", ..." if len(samples) > 32 else "")
        raise DivergedRun(
            f"the training loss or its gradient is no finite number at step {step}, batch {batch}"
            + (f", training samples {shown}" if samples else "")
            + "; lower optimizer.lr, or look at these samples. No checkpoint holds it"
        )

    def at_logged_step(self) -> bool:
        """Whether this batch ended an optimiser step whose values are logged."""
        due = self.steps_done % self.trainer.log_every_n_steps == 0 or self.steps_done == self.trainer.max_steps
        return self.ended_step() and due

    def ended_step(self) -> bool:
        """Whether this batch ended an optimiser step, and was not only accumulated."""
        return self.steps_done > self._steps_before

    def configure_model(self) -> None:
        """Split the networks where the strategy asks for it; Lightning calls this once the ranks have met."""
        if isinstance(self.trainer.strategy, ShardedData):
            for network in self.children():
                if any(True for _ in network.parameters()):
                    self.trainer.strategy.prepare(network)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Show it to callbacks before weights are loaded from it: they say better than sizes why it does not fit."""
        self.call_hook("on_checkpoint_read", checkpoint)

    def call_hook(self, hook: str, *arguments: Any) -> None:
        """Call a method that is none of Lightning's on every callback that has it, with the trainer and this task."""
        for callback in self.trainer.callbacks:
            if told := getattr(callback, hook, None):
                told(self.trainer, self, *arguments)

    def on_train_batch_start(self, batch: Any, batch_index: int) -> None:
        """Note the step, as a batch that is accumulated ends none."""
        self._steps_before = self.steps_done
        self.begun_batch = self.trainer.fit_loop.total_batch_idx

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
        self.gradient_norm = clip_by_norm(parameters, gradient_clip_val)
        self.check_finite(self.gradient_norm, shared=True)

    def training_state(self) -> dict[str, Any]:
        """What a resumed run has to know besides weights and optimisers, in plain containers and tensors.

        A task that keeps sums between steps adds them, and takes them back in `load_training_state`.
        """
        return {
            "latest": dict(self.latest),
            "signatures": dict(self.signatures),
            "recorded_at": dict(self.recorded_at),
            "validated_at": self.validated_at,
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take back what `training_state` gave."""
        self.latest, self.validated_at = dict(state["latest"]), state["validated_at"]
        self.signatures = dict(state.get("signatures", {}))
        self.recorded_at = dict(state.get("recorded_at", {}))

    def forget_sums(self) -> None:
        """Begin sums between steps anew, as another number of ranks cannot take them over."""

    def amount(self, batch: Any) -> int:
        """How many units a batch holds."""
        return len(batch)

    def save_model(self, folder: Path) -> None:
        """Write what other tools load; every task has its own.

        Raises:
            InputError: This one has none; a run is refused before it starts.
        """
        raise InputError(
            f"task: {type(self).__name__} needs a method save_model(folder), which writes what a run leaves"
        )
