"""The base class of tasks that train a language model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import PreTrainedModel

from aigc.config.types import Bound
from aigc.distributed.collectives import all_sum
from aigc.distributed.sharding import ShardedData
from aigc.models.activations import checkpoint_activations
from aigc.models.adapters.base import adapter_of
from aigc.models.adapters.merging import merged_copy
from aigc.models.adapters.saving import save_language_model
from aigc.models.attention import check_isolation, set_attention
from aigc.models.embeddings import embedding_weights
from aigc.optim.embeddings import mark_embeddings
from aigc.optim.groups import base_rate, parameter_groups, rate_factors, set_rates
from aigc.optim.plateau import lightning_schedule
from aigc.tasks.base import Task
from aigc.tasks.language.frozen import FrozenPart
from aigc.tasks.language.further_validation import validate_further
from aigc.tasks.memory import accumulated, advised, halved, lower_precision

_Function = TypeVar("_Function", bound=Callable[..., Any])
_SCALE = 4096.0
"""Divides the loss of several ranks until its targets are counted; a power of two changes no bit of a gradient."""


class LanguageTask(Task, ABC):
    """A task that minimises a summed loss, normalised by the targets of the whole optimiser step.

    A subclass defines `loss`, the sum over a batch, and `targets`, how many terms that sum has; the gradient is then
    that of the mean over all micro-batches and ranks of a step. Call the network through `run_model`.

    Args:
        model: The network, from `model:`.
        optimizer: Makes the optimiser from parameter groups, from `optimizer:`.
        scheduler: Makes the schedule from the optimiser and the number of steps, from `scheduler:`.
        embedding_lr_ratio: Learning rate of the token embeddings relative to that of everything else.
        decay_vectors: Apply weight decay to biases and normalisation weights as well.
        freeze: Names of parameters, or of modules that hold them, which are not trained; `*` and `?` as in a shell.
        learning_rates: Pairs of such a name and a factor of the learning rate; of several that match, all apply.
        layer_decay: Factor of the learning rate for each layer below the output (Clark et al., 2020).
        activation_checkpointing: Compute activations again in the backward pass instead of keeping them: less memory,
            a third more time.
        compile: Compile the forward pass of the model.
        compile_backend: Backend of torch.compile; inductor needs a C++ compiler on a CPU.
    """

    unit = "tokens"
    learns_from = "texts"
    trains = "language models"
    monitor = ("val/loss", "min")
    saved_model = "aigc.inference.transformers_model.SavedTransformersModel"

    def __init__(
        self,
        model: PreTrainedModel,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        embedding_lr_ratio: Annotated[float, Bound(0)] = 1.0,
        decay_vectors: bool = False,
        freeze: Sequence[str] = (),
        learning_rates: Sequence[tuple[str, Annotated[float, Bound(0)]]] = (),
        layer_decay: Annotated[float, Bound(0, 1)] = 1.0,
        activation_checkpointing: bool = False,
        compile: bool = False,
        compile_backend: str = "inductor",
    ):
        super().__init__()
        self.model = model
        self.embedding_lr_ratio = embedding_lr_ratio
        self.decay_vectors = decay_vectors
        self.learning_rates = [(name, factor) for name, factor in learning_rates]
        self.layer_decay = layer_decay
        self._frozen = FrozenPart(model, freeze)
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler
        self._compile_backend = compile_backend if compile else None
        self._run_model: Callable[..., Any] = self.compiled(self._call_model)
        self._step_targets: list[int] = []
        self._logged_loss: Tensor | float = 0.0
        self._logged_targets = 0
        self._validated: Tensor = torch.zeros(2, dtype=torch.float64)
        self.validation_numbers: Mapping[str, float] = {}
        """What the data say of the set that is validated, `target_tokens` for example; empty where they do not."""
        if activation_checkpointing:
            checkpoint_activations(model)

    def setup(self, stage: str) -> None:
        """Choose the attention implementation for the device; the model is moved to it later."""
        set_attention(self.model, self.trainer.strategy.root_device, str(self.trainer.precision))

    def on_fit_start(self) -> None:
        """Check, on the device, that packed documents do not see each other."""
        super().on_fit_start()
        check_isolation(self.model)

    @classmethod
    def memory_advice(cls, cfg: DictConfig) -> list[str]:
        """Advise accumulation, which leaves the gradient as it is, and shorter rows."""
        return advised(accumulated(cfg), lower_precision(cfg), halved(cfg, "data.sequence_length"))

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """Return the loss summed over the targets of a batch, a scalar with its graph."""

    def targets(self, batch: Any) -> int:
        """Return the number of targets of a batch."""
        return int(batch["target_tokens"])

    def amount(self, batch: Any) -> int:
        """Return what throughput counts: the targets."""
        return self.targets(batch)

    def run_model(self, **inputs: Any) -> Any:
        """Call the model, compiled where the config says so; returns what it returns."""
        return self._run_model(**inputs)

    def compiled(self, function: _Function) -> _Function:
        """Return a function compiled where the config says so."""
        if self._compile_backend is None:
            return function
        return cast(_Function, torch.compile(function, backend=self._compile_backend))

    def _call_model(self, **inputs: Any) -> Any:
        return self.model(**inputs)

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """Return the summed loss of a micro-batch, divided by a number that `on_before_optimizer_step` corrects."""
        loss = self.loss(batch)
        self.check_finite(loss)
        targets = self.targets(batch)
        self._step_targets.append(targets)
        self._logged_loss = self._logged_loss + loss.detach()
        self._logged_targets += targets
        # Lightning divides by the number of micro-batches, and gradients are averaged over the ranks.
        averaged = self.trainer.accumulate_grad_batches * self.trainer.world_size
        scaled: Tensor = loss * (averaged / self._divisor)
        return scaled

    @property
    def _divisor(self) -> float:
        """Divides the loss of each micro-batch; the same for all those of a step and on all ranks."""
        return max(self._step_targets[0], 1) if self.trainer.world_size == 1 else _SCALE

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Normalise the gradient by all targets of the step, before it is clipped; one reduction, no wait for it."""
        divisor, total = self._divisor, sum(self._step_targets)
        self._step_targets.clear()
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        gradients = [one.to_local() if isinstance(one, DTensor) else one for one in gradients]
        if self.trainer.world_size > 1:
            whole = all_sum(torch.full((), float(total), device=self.device))
            torch._foreach_mul_(gradients, divisor / whole.clamp_min(1))  # a step without any target moves nothing
        elif total != divisor:
            torch._foreach_mul_(gradients, divisor / max(total, 1))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_index: int) -> None:
        """Record the mean loss per target since the last record, and the learning rate."""
        if self.at_logged_step():
            self.raise_if_non_finite()
            loss = self.over_ranks(self._logged_loss) / max(self.over_ranks(self._logged_targets), 1)
            values = {"train/loss": loss, "train/learning_rate": base_rate(self.trainer.optimizers[0])}
            if self.gradient_norm is not None:
                values["train/gradient_norm"] = float(self.gradient_norm)
            self.record(values)
            self.forget_sums()

    def on_validation_epoch_start(self) -> None:
        """Reset the sums."""
        self._validated = torch.zeros(2, dtype=torch.float64, device=self.device)

    def validation_step(self, batch: Any, batch_index: int) -> None:
        """Add the loss of a batch."""
        self._validated += torch.stack([self.loss(batch).double(), self._validated.new_tensor(self.targets(batch))])

    def validation_is_finite(self) -> bool:
        """Return whether the sums are finite."""
        return bool(self._validated.isfinite().all())

    def validation_scores(self) -> tuple[Mapping[str, float], Mapping[str, str]]:
        """Return what a validation found, and how each value was made, by name without `val/`; on all ranks."""
        loss, targets = all_sum(self._validated).tolist()
        return {"loss": loss / targets if targets else float("nan")}, {}

    def on_validation_epoch_end(self) -> None:
        """Record the scores of the validation part, then those of further sets."""
        self._record_validation("val/", getattr(self.trainer.datamodule, "info", {}).get("validation", {}))
        for name, numbers in validate_further(self):
            self._record_validation(f"val/{name}/", numbers)

    def _record_validation(self, prefix: str, numbers: Mapping[str, float]) -> None:
        self.validation_numbers = numbers
        scores, signatures = self.validation_scores()
        self.record(
            {f"{prefix}{name}": value for name, value in scores.items()},
            {f"{prefix}{name}": value for name, value in signatures.items()},
        )

    def configure_optimizers(self) -> dict[str, Any]:
        """Create parameter groups (decay on matrices alone, rates by kind, name and depth), optimiser and schedule."""
        weights = embedding_weights(self.model)
        mark_embeddings(self, weights)
        adapter = adapter_of(self.model)
        rates = [*self.learning_rates, *(adapter.rates.items() if adapter else ())]
        factors = rate_factors(self.model, rates, self.layer_decay, "task.learning_rates")
        chosen = parameter_groups(self.parameters(), {id(weight) for weight in weights}, factors)
        optimizer = self._make_optimizer(params=chosen)
        set_rates(optimizer, self.embedding_lr_ratio, self.decay_vectors)
        if self._make_scheduler is None:
            return {"optimizer": optimizer}
        scheduler = self._make_scheduler(optimizer=optimizer, total_steps=self.trainer.max_steps)
        return {"optimizer": optimizer, "lr_scheduler": lightning_schedule(scheduler)}

    def training_state(self) -> dict[str, Any]:
        """Add the loss since the last record."""
        logged = {"nll": float(self._logged_loss), "targets": self._logged_targets}
        return super().training_state() | {"logged": logged}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore what `training_state` gave."""
        super().load_training_state(state)
        logged = state["logged"]
        self._logged_loss = logged["nll"]
        # Checkpoints of older versions hold the tokens of all ranks.
        self._logged_targets = logged["targets"] if "targets" in logged else logged["tokens"] / self.trainer.world_size

    def forget_sums(self) -> None:
        """Start the sums since the last record anew."""
        self._logged_loss, self._logged_targets = 0.0, 0

    def saved_weights(self) -> set[str] | None:
        """Return the names of all weights but those that are frozen and read again; None where there are none such."""
        if self._frozen.digest is None or self._keeps_frozen:
            return None
        if adapter_of(self.model) is not None:
            return {f"model.{name}" for name in self.model.state_dict() if name not in self._frozen.names}
        return set(self.state_dict()) - {f"model.{name}" for name in self._frozen.names}

    def base_digest(self) -> str | None:
        """Return the digest of the frozen weights that checkpoints leave out; None where they hold all."""
        return None if self._keeps_frozen else self._frozen.digest

    @property
    def _keeps_frozen(self) -> bool:
        """Whether checkpoints hold frozen weights as well: shards hold all."""
        sharded = self._trainer is not None and isinstance(self._trainer.strategy, ShardedData)
        return sharded and adapter_of(self.model) is None

    def merged_model(self) -> PreTrainedModel:
        """Return the model as other tools load it: a copy with merged weights where an adapter can be merged."""
        return merged_copy(self.model)

    def save_model(self, folder: Path) -> None:
        """Write safetensors and configuration in the layout of Transformers, an adapter merged or in that of PEFT."""
        save_language_model(self.model, folder)
