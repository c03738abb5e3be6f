"""Scaling, rotation and translation by any amount, as one resampling."""

import math

import torch
from torch import Tensor

from aigc.augmentation.affine import changes, compose, rotation, scaling, translation
from aigc.augmentation.draws import angle, choose, lognormal, normal, sometimes
from aigc.augmentation.sampling import bilinear, positions
from aigc.augmentation.waves import amplify, frequencies

FINER = 2
"""How many times as high and wide images are made before they are sampled linearly."""


def geometry(images: Tensor, probability: Tensor) -> Tensor:
    """Scale, rotate, scale along one direction, and move: each with a probability (Karras et al., 2020).

    The logarithm to the base 2 of both scales deviates by 0.2, angles are any, and the move deviates by 1/8 of the
    image. What comes in at an edge is the mirror image. An image to which nothing happens keeps its bits.

    Args:
        images: Floating, (n, channels, height, width).
        probability: A scalar.
    """
    height, width = images.shape[2:]
    either = 1 - (1 - probability).sqrt()  # rotated before or after the scaling along one direction: `probability`
    scale = sometimes(lognormal(images, deviation=0.2), probability, 1)
    first, second = (sometimes(angle(images), either, 0) for _ in range(2))
    stretch = sometimes(lognormal(images, deviation=0.2), probability, 1)
    x, y = sometimes(normal(images, 2, deviation=0.125), probability, 0).unbind(1)
    matrices = compose(  # each is drawn as likely as its inverse
        scaling(scale, scale),
        rotation(first),
        scaling(stretch, 1 / stretch),
        rotation(second),
        translation(x * width, y * height),
    )
    return choose(changes(matrices), warp(images, matrices), images)


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Show images as matrices of `affine` say.

    They are first interpolated to twice their size by the waves that they are made of, and then linearly. What linear
    interpolation takes from a wave on average is given to it before. Waves too fine for the pixels of the result are
    left out, as they would show as coarse ones; about that limit gains fall along half a cosine. Where an image shrinks
    in one direction alone, it loses its fine waves in the other, too.

    Args:
        images: (n, channels, height, width).
        matrices: (n, 3, 3).
    """
    height, width = images.shape[2:]
    limit = math.pi / _largest_step(matrices).clamp(min=1).unsqueeze(1)
    down, across = (_gains(frequencies(size, images), limit) for size in (height, width))
    return bilinear(amplify(images, down, across, FINER), *positions(matrices, height, width, FINER))


def _largest_step(matrices: Tensor) -> Tensor:
    """How far apart neighbours in the result can lie in the image, (n,): the largest singular value."""
    (a, b), (c, d) = (matrices[:, row, :2].unbind(1) for row in (0, 1))
    squares, area = a * a + b * b + c * c + d * d, a * d - b * c
    return ((squares + (squares.square() - 4 * area.square()).clamp(min=0).sqrt()) / 2).sqrt()


def _gains(frequencies: Tensor, limit: Tensor) -> Tensor:
    """Of waves, (n, m): 1 below 3/4 of the limit, 1/2 at it, 0 beyond 5/4; and what linear interpolation needs."""
    fall = 0.5 + 0.5 * torch.cos(((frequencies / limit - 0.75) * 2).clamp(0, 1) * math.pi)
    return fall / torch.sinc(frequencies / (2 * math.pi * FINER)).square()
