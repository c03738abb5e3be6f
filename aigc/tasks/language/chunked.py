"""Losses of target positions alone, some at a time, so that the logits of all positions are never held together."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from aigc.data.text.packing import IGNORE
from aigc.models.output_layer import OutputLayer
from aigc.tasks.language.tokens import PART, token_nll


def chunked_nll(layer: OutputLayer, hidden: Tensor, labels: Tensor, targets: int, vocabulary: int) -> Tensor:
    """Compute the summed negative log likelihood, in float32.

    The logits of a part are computed again in the backward pass. Where the output layer is not trained, they need not
    be: the gradient of its states is computed at once, and held in their place.

    Args:
        layer: Makes the logits.
        hidden: The state that predicts each label, (rows, length, width).
        labels: (rows, length) int64; IGNORE where nothing is learned.
        targets: How many are learned.
        vocabulary: The number of logits of a position, which decides how many are computed together.

    Returns:
        A scalar, in nats.
    """

    def nll(hidden: Tensor, labels: Tensor) -> Tensor:
        return token_nll(layer.logits(hidden), labels).sum()

    def sum_of(*part: Tensor) -> Tensor:
        if layer.is_trained:
            result: Tensor = checkpoint(nll, *part, use_reentrant=False, preserve_rng_state=False)
        else:
            result = _WithGradient.apply(nll, *part)
        return result

    total = hidden[:0].float().sum()  # a batch without targets has a gradient, too
    for part in chunks(hidden, labels, targets, vocabulary):
        total = total + sum_of(*part)
    return total


class _WithGradient(torch.autograd.Function):
    """A loss of some states that computes their gradient together with itself."""

    @staticmethod
    def forward(ctx: Any, loss: Callable[[Tensor, Tensor], Tensor], hidden: Tensor, labels: Tensor) -> Tensor:
        if not ctx.needs_input_grad[1]:
            return loss(hidden, labels)
        states = hidden.detach().requires_grad_()
        with torch.enable_grad():
            value = loss(states, labels)
        ctx.save_for_backward(*torch.autograd.grad(value, states))
        return value.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        (of_states,) = ctx.saved_tensors
        return None, of_states * gradient, None


def chunks(hidden: Tensor, labels: Tensor, targets: int, vocabulary: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the states of the target positions in their order, (positions, width), with their labels, (positions,).

    The arguments are those of `chunked_nll`. The host does not wait for the device.
    """
    flat = labels.flatten()
    learned = flat != IGNORE
    torch._assert_async(learned.sum() == targets, "batch['target_tokens'] is not the number of labels that are learned")
    where = torch.nonzero_static(learned, size=targets).flatten()
    size = max(1, PART // vocabulary)
    states = hidden.flatten(0, 1).index_select(0, where)
    return zip(torch.split(states, size), torch.split(flat.index_select(0, where), size), strict=True)
