"""Outputs of a model for fixed inputs, and how far two of them are apart."""

from collections.abc import Callable

import torch
from torch import Tensor


def fixed_outputs(make: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Tensor:
    """Return the outputs for these inputs: random draws are the same each time, and random states are restored."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return make(*inputs)
