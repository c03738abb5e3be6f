"""Floating-point operations of training a language model."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class TrainingFlops:
    """What training on a token takes (Chowdhery et al., 2022, PaLM, appendix B), without what is computed again.

    A weight of a matrix takes 2 operations in the forward pass, 2 for the gradient of its inputs, and 2 for its own
    gradient if it is trained: 6 without frozen weights. A layer of attention takes 12 times its width for each pair of
    tokens of a document; as in the paper, the causal half is not taken off, nor is a window. Of experts, the active
    ones count.

    Args:
        model: The network. Weights that are quantised are not counted: `of` returns None.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        config = model.config.get_text_config()
        self._known = all(weight.is_floating_point() for weight in model.parameters())
        tables, replaced = _tables(model), _replaced(model)
        self._of_token = sum(
            _used(name, weight, config) * (6 if weight.requires_grad else 4)
            for name, weight in model.named_parameters()
            if weight.ndim > 1 and id(weight) not in tables and not name.startswith(replaced)
        )
        heads = getattr(config, "num_attention_heads", 0) or 0
        width = heads * getattr(config, "head_dim", 0) if getattr(config, "head_dim", None) else config.hidden_size
        self._of_pair = 12 * getattr(config, "num_hidden_layers", 0) * (width if heads else 0)

    def of(self, batch: Mapping[str, Any]) -> Tensor | None:
        """Return the operations of a batch, a float64 scalar on its device; None where they are not known.

        Args:
            batch: `segment_ids` and `position_ids`, each (rows, length) int64; padding is not counted.
        """
        if not self._known or "segment_ids" not in batch or "position_ids" not in batch:
            return None
        real: Tensor = batch["segment_ids"] > 0
        pairs: Tensor = ((2 * batch["position_ids"] + 1) * real).sum(dtype=torch.float64)  # the square of each length
        return real.sum(dtype=torch.float64) * self._of_token + pairs * self._of_pair


def _used(name: str, weight: Tensor, config: Any) -> float:
    """Return how many numbers of a weight a token meets."""
    active = getattr(config, "num_experts_per_tok", None)
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    share = active / experts if active and experts and ".experts." in name else 1.0
    return weight.numel() * share


def _tables(model: PreTrainedModel) -> set[int]:
    """Return the ids of weights that are only looked up in: embeddings that are not the output layer, too."""
    output = model.get_output_embeddings()
    output = getattr(output, "modules_to_save", output)  # the copy that an adapter trains
    multiplied = {id(weight) for weight in output.parameters()} if output is not None else set()
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Embedding)]
    return {id(layer.weight) for layer in layers} - multiplied


def _replaced(model: PreTrainedModel) -> tuple[str, ...]:
    """Return the beginnings of names of weights in whose place an adapter trains a copy."""
    names = [name for name, _ in model.named_modules()]
    return tuple(
        f"{name.removesuffix('modules_to_save')}original_module." for name in names if name.endswith(".modules_to_save")
    )
