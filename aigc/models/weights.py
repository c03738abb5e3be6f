"""Which weights a network has."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn


def digest_of(network: nn.Module) -> str:
    """Compute one SHA-256 over names, types, shapes and values of all weights and buffers that are saved."""
    weights = sorted(network.state_dict().items())
    with ThreadPoolExecutor() as threads:  # hashing a large tensor lets other threads run
        hashes = threads.map(_digest, [weight for _, weight in weights])
        total = hashlib.sha256()
        for (name, weight), digest in zip(weights, hashes, strict=True):
            total.update(f"{name}\0{weight.dtype}\0{tuple(weight.shape)}\0{digest}\n".encode())
    return total.hexdigest()


def _digest(weight: Tensor) -> str:
    values = weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    found: Any = values.numpy()  # hashlib takes arrays, and its types do not say so
    return hashlib.sha256(found).hexdigest()
