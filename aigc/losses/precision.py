"""In what precision losses are computed."""

import torch
from torch import Tensor


def at_least_float32(numbers: Tensor) -> Tensor:
    """Half precision widened to float32; float32 and float64 as they are."""
    return numbers if numbers.dtype == torch.float64 else numbers.float()
