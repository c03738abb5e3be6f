"""Bands of spatial frequencies made stronger or weaker."""

import torch
from torch import Tensor

from aigc.augmentation.draws import choose, lognormal, sometimes
from aigc.augmentation.waves import amplify, frequencies

BANDS = 4
"""The highest is the upper half of all frequencies, the next the upper half of the rest, and so on."""


def filtering(images: Tensor, probability: Tensor) -> Tensor:
    """Multiply each of four bands of frequencies by a factor, each with a probability (Karras et al., 2020).

    The factor's logarithm to the base 2 deviates by 1. All bands are then scaled so that an image with the usual
    spectrum, ten times the power in the lowest band, keeps its power. An image to which nothing happens keeps its bits.

    Args:
        images: Floating, (n, channels, height, width).
        probability: A scalar.
    """
    factors = [sometimes(lognormal(images, deviation=1), probability, 1) for _ in range(BANDS)]
    gains = torch.stack(factors, 1)
    changed = (gains != 1).any(1)
    for band, factor in enumerate(factors):
        power = 10 if band == 0 else 1
        gains = gains / ((13 - power + power * factor.square()) / 13).sqrt().unsqueeze(1)
    return choose(changed, amplify_bands(images, gains), images)


def amplify_bands(images: Tensor, gains: Tensor) -> Tensor:
    """Multiply the bands of images, along columns and along rows, by gains from the lowest band to the highest."""
    down, across = (gains @ bands(frequencies(size, images)) for size in images.shape[2:])
    return amplify(images, down, across)


def bands(frequencies: Tensor) -> Tensor:
    """How much of each frequency is in each band; the shares of a frequency add up to 1.

    Args:
        frequencies: From 0 to pi, in radians for each pixel, (m,).

    Returns:
        (BANDS, m): the filter bank of the `sym2` wavelet, each filter once forwards and once backwards.
    """
    rest = torch.ones_like(frequencies)
    found: list[Tensor] = []
    for octave in range(BANDS - 1):
        half = frequencies * 2**octave / 2
        low = half.cos() ** 4 * (1 + 2 * half.sin() ** 2)  # what the wavelet's low pass leaves of the power
        found.insert(0, rest * (1 - low))
        rest = rest * low
    return torch.stack([rest, *found])
