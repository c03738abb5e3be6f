"""Losses of target positions alone, some at a time, so that the logits of all positions are never held together."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from aigc.data.text.packing import IGNORE
from aigc.models.output_layer import OutputLayer
from aigc.tasks.language.tokens import PART, token_nll


def chunked_nll(layer: OutputLayer, hidden: Tensor, labels: Tensor, targets: int, vocabulary: int) -> Tensor:
    """Compute the summed negative log likelihood, in float32; the logits are computed again in the backward pass.

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

    total = hidden.float().sum() * 0  # a batch without targets has a gradient, too
    for part in chunks(hidden, labels, targets, vocabulary):
        total = total + checkpoint(nll, *part, use_reentrant=False, preserve_rng_state=False)
    return total


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
