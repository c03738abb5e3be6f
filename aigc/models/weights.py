"""Which weights a network has, and of which kind they are."""

import hashlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn


def digest_of(network: nn.Module, names: Collection[str] | None = None) -> str:
    """Compute one SHA-256 over names, types, shapes and values of all weights and buffers that are saved.

    Args:
        network: The network.
        names: Those that count; None takes all.
    """
    weights = sorted((name, one) for name, one in network.state_dict().items() if names is None or name in names)
    with ThreadPoolExecutor() as threads:  # hashing a large tensor lets other threads run
        hashes = threads.map(_digest, [weight for _, weight in weights])
        total = hashlib.sha256()
        for (name, weight), digest in zip(weights, hashes, strict=True):
            total.update(f"{name}\0{weight.dtype}\0{tuple(weight.shape)}\0{digest}\n".encode())
    return total.hexdigest()


def mark_vector(weight: Tensor) -> None:
    """Let a weight with two dimensions count as a vector, such as scales of shape (n, 1)."""
    weight.aigc_is_vector = True  # type: ignore[attr-defined]


def is_vector(weight: Tensor) -> bool:
    """Return whether a weight is a vector, such as a bias, which weight decay leaves out by default."""
    return weight.ndim < 2 or bool(getattr(weight, "aigc_is_vector", False))


def _digest(weight: Tensor) -> str:
    values = weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    found: Any = values.numpy()  # hashlib takes arrays, and its types do not say so
    return hashlib.sha256(found).hexdigest()
