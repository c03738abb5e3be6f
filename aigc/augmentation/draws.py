"""Random numbers per image, and changes that are applied with a probability."""

import math

import torch
from torch import Tensor


def uniform(images: Tensor, *shape: int, low: float, high: float) -> Tensor:
    """Draw numbers of shape (n, *shape) evenly from `low` to `high`, of the images' dtype and on their device."""
    return low + (high - low) * torch.rand(len(images), *shape, dtype=images.dtype, device=images.device)


def whole(images: Tensor, *shape: int, count: int) -> Tensor:
    """Draw whole numbers 0 ... count - 1, each as likely, as floating numbers of shape (n, *shape)."""
    return torch.randint(count, (len(images), *shape), device=images.device).to(images.dtype)


def normal(images: Tensor, *shape: int, deviation: float) -> Tensor:
    """Draw normal numbers of shape (n, *shape) about 0."""
    return deviation * torch.randn(len(images), *shape, dtype=images.dtype, device=images.device)


def lognormal(images: Tensor, *shape: int, deviation: float) -> Tensor:
    """Draw factors of shape (n, *shape) about 1; the deviation is that of their logarithm to the base 2."""
    return torch.exp2(normal(images, *shape, deviation=deviation))


def angle(images: Tensor) -> Tensor:
    """Draw any angle, in radians, for each image, (n,)."""
    return uniform(images, low=-math.pi, high=math.pi)


def happens(images: Tensor, probability: Tensor) -> Tensor:
    """Draw whether each image is changed, (n,) of bool: never at probability 0, always at 1."""
    return torch.rand(len(images), device=images.device) < probability


def sometimes(drawn: Tensor, probability: Tensor, neutral: float) -> Tensor:
    """Keep the drawn numbers, (n, ...), of an image with a probability, else take the neutral number."""
    return drawn.masked_fill(~happens(drawn, probability).view(-1, *[1] * (drawn.dim() - 1)), neutral)


def choose(changed: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Return the new image where `changed`, (n,) of bool, and the bits of the old one elsewhere."""
    return torch.where(changed.view(-1, 1, 1, 1), new, old)
