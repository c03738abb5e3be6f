"""Changes that only move whole pixels."""

import math

import torch
from torch import Tensor

from aigc.augmentation.affine import compose, rotation, scaling, translation
from aigc.augmentation.draws import sometimes, uniform, whole
from aigc.augmentation.sampling import nearest, positions


def blit(images: Tensor, probability: Tensor) -> Tensor:
    """Mirror left and right, turn by quarters, and move by up to 1/8: each with a probability (Karras et al., 2020).

    Each choice is drawn evenly from all there are, no change among them. What comes in at an edge is the mirror image.
    Images that are no squares are turned by halves.

    Args:
        images: Floating, (n, channels, height, width).
        probability: A scalar.
    """
    height, width = images.shape[2:]
    flip = sometimes(1 - 2 * whole(images, count=2), probability, 1)
    turns = whole(images, count=4) if height == width else 2 * whole(images, count=2)
    quarters = sometimes(turns, probability, 0)
    x, y = sometimes(uniform(images, 2, low=-0.125, high=0.125), probability, 0).unbind(1)
    matrices = compose(
        scaling(flip, torch.ones_like(flip)),
        rotation(quarters * (math.pi / 2)).round(),
        translation((x * width).round(), (y * height).round()),
    )
    return move(images, matrices)


def move(images: Tensor, matrices: Tensor) -> Tensor:
    """Move whole pixels by matrices of `affine` that map them onto each other; no bit of them changes."""
    return nearest(images, *positions(matrices, *images.shape[2:]))
