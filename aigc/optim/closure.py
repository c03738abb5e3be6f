"""The closure that a step may be given."""

from collections.abc import Callable
from typing import Any

import torch


def loss_of(closure: Callable[[], Any] | None) -> Any:
    """Return the loss that a closure computes, with gradients; None without one."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()
