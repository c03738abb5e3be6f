"""Precision of losses."""

import torch
from torch import Tensor


def at_least_float32(numbers: Tensor) -> Tensor:
    """Convert half precision to float32; leave float32 and float64 as they are."""
    return numbers if numbers.dtype == torch.float64 else numbers.float()
