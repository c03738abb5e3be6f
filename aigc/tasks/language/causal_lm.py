"""Next-token prediction over packed documents."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import PreTrainedModel

from aigc.config.problems import ConfigError, Problem
from aigc.data.text.packing import IGNORE
from aigc.models.isolation import isolation_of
from aigc.models.output_layer import OutputLayer, find_output_layer
from aigc.tasks.language import tokens
from aigc.tasks.language.chunked import chunked_nll, chunks
from aigc.tasks.language.flops import TrainingFlops
from aigc.tasks.language.tokens import TokenTask


class CausalLM(TokenTask):
    """Trains a causal language model; reports perplexity per target token and bits per byte.

    Args:
        model: The network, from `model:`.
        optimizer: Makes the optimiser from parameter groups, from `optimizer:`.
        scheduler: Makes the schedule from the optimiser and the number of steps, from `scheduler:`.
        chunked_loss: Apply the output layer to some of the target positions at a time, so that the logits of a batch
            are never held together; null does so where they are large, and the network can be taken apart.
        shared: Further arguments of `LanguageTask`.
    """

    saved_model = "aigc.inference.causal_lm.SavedCausalLM"

    def __init__(
        self,
        model: PreTrainedModel,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        *,
        chunked_loss: bool | None = None,
        **shared: Any,
    ):
        super().__init__(model, optimizer, scheduler, **shared)
        self.chunked_loss = chunked_loss

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """Return the logits of a packed batch, (rows, length, vocabulary); documents of one row are kept apart."""
        logits: Tensor = self.run_model(**self.model_inputs(batch)).logits
        return logits

    def model_inputs(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return what the network is called with for a batch."""
        inputs = {"input_ids": batch["input_ids"], "use_cache": False}
        isolation = isolation_of(self.model)
        # Kernels need no mask for one document a row. On a CPU it is always given, so that results stay the same bits.
        if isolation is None or not (batch.get("packed", True) or batch["segment_ids"].device.type == "cpu"):
            return inputs
        return inputs | isolation.inputs(self.model, batch)

    def aligned(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return each prediction with the next label."""
        return shifted(logits, labels)

    def loss(self, batch: Any) -> Tensor:
        """Return the sum over the tokens of a batch."""
        layer = self._layer_for(batch)
        return super().loss(batch) if layer is None else chunked_nll(layer, *self._states(batch))

    def predictions(self, batch: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the logits of a batch in their order, part by part, and the labels that they predict."""
        layer = self._layer_for(batch)
        if layer is None:
            yield from super().predictions(batch)
            return
        for states, labels in chunks(*self._states(batch)):
            yield layer.logits(states), labels

    def flops(self, batch: Any) -> Tensor | None:
        """Return the floating-point operations of training on a batch; None for quantised weights."""
        return self._flops.of(batch)

    @cached_property
    def _flops(self) -> TrainingFlops:
        return TrainingFlops(self.model)

    def check_trainer(self, settings: Any) -> None:
        """Check that the settings of the trainer suit this task, and that the loss can be chunked where it must be.

        Raises:
            ConfigError: They do not, or it cannot.
        """
        super().check_trainer(settings)
        what = None
        if self.chunked_loss and settings.strategy in ("fsdp", "model_parallel"):
            what = f"trainer.strategy={settings.strategy} gathers weights for a whole forward pass; set it to null"
        elif self.chunked_loss and self._output_layer is None:
            what = f"the output layer of {type(self.model).__name__} cannot be applied by itself; set it to null"
        if what:
            raise ConfigError([Problem("task.chunked_loss", what)])

    @property
    def _vocabulary(self) -> int:
        return int(self.model.config.get_text_config().vocab_size)

    @cached_property
    def _output_layer(self) -> OutputLayer | None:
        changed = type(self).token_losses is not TokenTask.token_losses or type(self).forward is not CausalLM.forward
        return None if changed else find_output_layer(self.model)

    @cached_property
    def _run_layers(self) -> Callable[..., Tensor]:
        assert self._output_layer is not None
        return self.compiled(self._output_layer.hidden)

    def _layer_for(self, batch: Any) -> OutputLayer | None:
        """Return the output layer where the loss of a batch is chunked."""
        large = batch["labels"].numel() * self._vocabulary >= tokens.LARGE
        return self._output_layer if (large if self.chunked_loss is None else self.chunked_loss) else None

    def _states(self, batch: Any) -> tuple[Tensor, Tensor, int, int]:
        states, labels = self.aligned(self._run_layers(**self.model_inputs(batch)), batch["labels"])
        return states, labels, self.targets(batch), self._vocabulary


def shifted(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return each prediction with the label that it predicts, the next one; the only place where labels are shifted.

    Args:
        logits: (rows, length, vocabulary), any float dtype.
        labels: (rows, length) int64, not shifted; IGNORE where nothing is learned.

    Returns:
        The logits themselves, as a part of them would be copied, twice in training; and (rows, length) labels, IGNORE
        at the last position of a row.
    """
    return logits, F.pad(labels[:, 1:], (0, 1), value=IGNORE)
