"""The output layer of a causal language model by itself, so that it can be applied to a part of the positions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

_LENGTH = 8
"""Tokens that a network is tried on."""


class OutputLayer:
    """A network in two halves: its layers, and all that follows them, such as scaled or capped logits.

    The second half is the network's own `forward` on hidden states that are given to it, so that no kind of network
    has to be known here.

    Args:
        model: The network.
        output: The class of what its layers return.
    """

    def __init__(self, model: PreTrainedModel, output: Callable[..., Any]) -> None:
        self._model = model
        self._layers: nn.Module = model.base_model
        self._output = output

    @property
    def is_trained(self) -> bool:
        """Whether a weight of the second half is trained; one that both halves share is in it, too."""
        return any(weight.requires_grad for weight in self._weights)

    @cached_property
    def _weights(self) -> list[nn.Parameter]:
        first = {id(weight) for weight in self._layers.parameters()}
        last = self._model.get_output_embeddings() or self._model
        return [*last.parameters(), *(weight for weight in self._model.parameters() if id(weight) not in first)]

    def hidden(self, **inputs: Any) -> Tensor:
        """Return the states after the last layer, (rows, length, width).

        Args:
            inputs: What the network would be called with.
        """
        hidden: Tensor = self._layers(**inputs).last_hidden_state
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits of some positions, (positions, vocabulary), of their states, (positions, width)."""
        output = self._output(last_hidden_state=hidden[None])
        with _returning(self._layers, output):
            ids = torch.zeros(1, len(hidden), dtype=torch.int64, device=hidden.device)
            logits: Tensor = self._model(input_ids=ids, use_cache=False).logits[0]
        return logits


@contextmanager
def _returning(module: nn.Module, output: Any) -> Iterator[None]:
    """Let a module return an output without computing it."""
    own = vars(module).get("forward")
    module.forward = lambda *_, **__: output
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def find_output_layer(model: PreTrainedModel) -> OutputLayer | None:
    """Return the output layer if both halves together are this very network, which is tried; else None.

    Sharded weights are gathered for a whole network, so that these have none.
    """
    if model.base_model is model or any(isinstance(weight, DTensor) for weight in model.parameters()):
        return None
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        return _tried(model)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None  # the network is built in another way
    finally:
        for module, training in modes.items():
            module.training = training


@torch.no_grad()
def _tried(model: PreTrainedModel) -> OutputLayer | None:
    ids = torch.arange(_LENGTH, device=model.device)[None] % model.config.get_text_config().vocab_size
    states = model.base_model(input_ids=ids, use_cache=False)
    layer = OutputLayer(model, type(states))
    halves = layer.logits(states.last_hidden_state[0]).float()
    whole = model(input_ids=ids, use_cache=False).logits[0].float()
    change = 1e-5 if model.dtype == torch.float32 else 1e-2
    return layer if bool((whole - halves).abs().max() <= change * whole.std()) else None
