"""Means over ranks, equal to those of one batch that is split over the ranks."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def mean_over_ranks(numbers: Tensor) -> Tensor:
    """Return the mean of a tensor over all ranks, by one all_reduce; differentiable.

    With one rank the tensor is returned unchanged. The derivative includes the losses of all ranks, so that the mean of
    the ranks' gradients is the gradient of the mean of their losses. Every rank must call it, forward and backward.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return numbers
    mean: Tensor = _MeanOverRanks.apply(numbers)
    return mean


class _MeanOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, numbers: Tensor) -> Tensor:
        total = numbers.detach().clone()
        dist.all_reduce(total)
        return total / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return mean_over_ranks(gradient)  # the mean is its own adjoint
