"""The base class of all tasks."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import DictConfig
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.distributed import ReduceOp
from torch.optim import Optimizer

from aigc.config.problems import ConfigError, Problem
from aigc.config.types import shown
from aigc.distributed.clipping import clip_by_norm
from aigc.distributed.collectives import reduce_number
from aigc.distributed.sharding import ShardedData
from aigc.errors import InputError
from aigc.logger import metrics_files
from aigc.tasks.divergence import DivergenceGuard
from aigc.tasks.memory import advised, halved, lower_precision
from aigc.tasks.recording import Recorder

_BASE = "base_digest"
"""Where a checkpoint names the model that its weights belong to."""


class Task(Recorder, DivergenceGuard):
    """A LightningModule whose recorded values reach every logger, the callbacks and the final table."""

    unit = "examples"
    """The unit that throughput counts."""
    learns_from = ""
    """What the data must hold, such as texts or images; empty where that is not said. `aigc.config.fit` compares."""
    trains = ""
    """What `aigc.models.ModelFactory.makes` must be, such as language models; empty where that is not said."""
    saved_model: str | None = None
    """Dotted path of the subclass of `aigc.inference.base.SavedModel` that reads what `save_model` writes."""
    monitor: ClassVar[tuple[str, str] | None] = None
    """The value that chooses the best checkpoint, and whether a smaller (min) or a larger one (max) is better."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule_monitor: str | None = None
        """The value that a ReduceLROnPlateau follows; None takes `monitor`."""
        self.validated_at = -1
        """The step of the last validation."""
        self.gradient_norm: Tensor | None = None
        """Norm of all gradients before clipping, at the last step."""
        self._steps_before = 0
        self.begun_batch = -1
        """The batch (over all epochs) that was started last."""

    @property
    def steps_done(self) -> int:
        """Number of optimiser steps; a task with several optimisers defines which steps count."""
        return int(self.global_step)

    def over_ranks(self, value: Tensor | float, op: Any = ReduceOp.SUM) -> float:
        """Reduce a number over all ranks, in float64; all ranks must call it, and it waits for their devices."""
        return reduce_number(value, op)

    def value_names(self) -> set[str] | None:
        """Return the names of the values that its validation records; None, where it has one, if they are unknown."""
        return None if is_overridden("validation_step", self) else set()

    def has_validation(self, data: Any) -> bool:
        """Return whether the data module has a validation part and the task validates."""
        if not is_overridden("val_dataloader", data) or not is_overridden("validation_step", self):
            return False
        loader = data.val_dataloader()
        return bool(loader) if isinstance(loader, list) else loader is not None

    def at_logged_step(self) -> bool:
        """Return whether this batch ended an optimiser step whose values are logged."""
        if not self.ended_step() or self.steps_done % self.trainer.log_every_n_steps == 0:
            return self.ended_step()
        if self.steps_done != self.trainer.max_steps:
            return False
        self.call_hook("on_last_values")  # a longer run would not log here
        return True

    def ended_step(self) -> bool:
        """Return whether this batch ended an optimiser step, and was not only accumulated."""
        return self.steps_done > self._steps_before

    def check_trainer(self, settings: Any) -> None:
        """Check that the settings of the trainer suit this task, before the first step.

        Args:
            settings: The node `trainer` of the config.

        Raises:
            ConfigError: They do not.
        """
        off: dict[str, float | None] = {"gradient_clip_val": None, "accumulate_grad_batches": 1}
        wrong = [name for name, value in off.items() if settings[name] not in (value, 0)]
        if wrong and not self.automatic_optimization:
            what = f"{type(self).__name__} steps its optimisers itself and does not support this; set it to "
            raise ConfigError([Problem(f"trainer.{name}", f"{what}{shown(off[name])}") for name in wrong])

    @classmethod
    def memory_advice(cls, cfg: DictConfig) -> list[str]:
        """Return overrides that make a step need less memory, the best one first; `aigc.tasks.memory` words them.

        Args:
            cfg: The config of the run that is out of memory.
        """
        return advised(halved(cfg, "data.batch_size", 1), lower_precision(cfg))

    def configure_model(self) -> None:
        """Shard the networks if the strategy requires it; Lightning calls this once the ranks are connected."""
        if isinstance(self.trainer.strategy, ShardedData):
            if self.saved_weights() is not None:
                what = "shards hold all weights, and this task saves a part of them; set it to ddp"
                raise ConfigError([Problem("trainer.strategy", what)])
            for network in self.children():
                if any(True for _ in network.parameters()):
                    self.trainer.strategy.prepare(network)

    def saved_weights(self) -> set[str] | None:
        """Return the names in `state_dict` that checkpoints hold; None, the default, holds all.

        Others must be the same whenever the task is built again, as those of a frozen pretrained model are.
        """
        return None

    def base_digest(self) -> str | None:
        """Return the digest of the model that the weights in checkpoints belong to; None where they are whole."""
        return None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave out the weights that checkpoints do not hold, and note which model they belong to."""
        if (saved := self.saved_weights()) is not None:
            weights = checkpoint["state_dict"]
            checkpoint["state_dict"] = {name: weight for name, weight in weights.items() if name in saved}
        if (digest := self.base_digest()) is not None:
            checkpoint[_BASE] = digest

    def load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Load the weights of a checkpoint outside of a trainer.

        Raises:
            InputError: They belong to another base model.
            RuntimeError: Names or shapes are those of another model.
        """
        self._check_base(checkpoint)
        self.load_state_dict(checkpoint["state_dict"])

    def _check_base(self, checkpoint: Mapping[str, Any]) -> None:
        """Check the base model; checkpoints of older versions do not name it."""
        saved, now = checkpoint.get(_BASE), self.base_digest()
        if saved not in (None, now):
            raise InputError(
                f"model.path: the checkpoint belongs to a base model with digest {str(saved)[:12]}, and this one's is "
                f"{str(now)[:12]}: its weights or its vocabulary are others. Put the base model back as it was"
            )

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load the weights that checkpoints hold, or all.

        Raises:
            RuntimeError: Names or shapes are those of another model.
        """
        saved = None if state_dict.keys() == self.state_dict().keys() else self.saved_weights()
        if strict and saved is not None and saved != state_dict.keys():
            names = ", ".join(sorted(saved ^ state_dict.keys())[:3])
            raise RuntimeError(f"weights of another model or adapter:\nonly on one side: {names}")
        return super().load_state_dict(state_dict, strict and saved is None, assign)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Call `on_checkpoint_read` of callbacks before weights are loaded: their errors are clearer than torch's."""
        self._check_base(checkpoint)
        self.call_hook("on_checkpoint_read", checkpoint)

    def call_hook(self, hook: str, *arguments: Any) -> None:
        """Call a hook that Lightning does not know on every callback that has it, with the trainer and this task."""
        for callback in self.trainer.callbacks:
            if method := getattr(callback, hook, None):
                method(self.trainer, self, *arguments)

    def precision_context(self) -> AbstractContextManager[None]:
        """Compute in the trainer's precision; outside of training, in that of the weights."""
        trainer = self._trainer
        return nullcontext() if trainer is None else trainer.strategy.precision_plugin.forward_context()

    def on_train_batch_start(self, batch: Any, batch_index: int) -> None:
        """End the row of the step before in metrics.jsonl; note the step, as an accumulated batch does not end one."""
        if self.ended_step():
            for logger in metrics_files(self.trainer.loggers):
                logger.end_row()
        self._steps_before = self.steps_done
        self.begun_batch = self.trainer.fit_loop.total_batch_idx

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm of all gradients; Lightning refuses this for fused optimisers even without scaling.

        Raises:
            ConfigError: A fused optimiser under float16 unscales gradients only after clipping would have seen them.
        """
        if not gradient_clip_val:
            return
        scales = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        if scales and optimizer.defaults.get("fused"):
            what = "16-mixed cannot clip a fused optimiser; set optimizer.fused=false or trainer.precision=bf16-mixed"
            raise ConfigError([Problem("trainer.precision", what)])
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.gradient_norm = clip_by_norm(parameters, gradient_clip_val)
        if not scales:  # a scaler leaves out a step whose scaled gradients overflow, and lowers the scale
            self.check_finite(self.gradient_norm, shared=True)

    def training_state(self) -> dict[str, Any]:
        """Return what a resumed run needs besides weights and optimisers, in plain containers and tensors.

        A task that keeps sums between steps adds them, and restores them in `load_training_state`.
        """
        return {
            "latest": dict(self.latest),
            "signatures": dict(self.signatures),
            "recorded_at": dict(self.recorded_at),
            "validated_at": self.validated_at,
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore what `training_state` returned."""
        self.latest, self.validated_at = dict(state["latest"]), state["validated_at"]
        self.signatures = dict(state.get("signatures", {}))
        self.recorded_at = dict(state.get("recorded_at", {}))

    def forget_sums(self) -> None:
        """Reset the sums between steps: they are lost when the number of ranks changes."""

    def amount(self, batch: Any) -> int:
        """Return the number of units in a batch."""
        return len(batch)

    def flops(self, batch: Any) -> Tensor | None:
        """Return the floating-point operations of training on a batch, a scalar on its device; None if not known."""
        return None

    def save_model(self, folder: Path) -> None:
        """Write the files that other tools load; every task must define it.

        Raises:
            InputError: This task does not; the run is refused before it starts.
        """
        raise InputError(
            f"task: {type(self).__name__} needs a method save_model(folder), which writes the model that the run leaves"
        )
