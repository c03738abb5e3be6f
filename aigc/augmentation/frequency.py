"""Changes of spatial frequencies: an image as a sum of cosine waves (discrete cosine transform), with other gains."""

import math

import torch
from torch import Tensor

from aigc.augmentation.draws import choose, lognormal, sometimes

BANDS = 4
"""The highest is the upper half of all frequencies, the next the upper half of the rest, and so on."""


def filtering(images: Tensor, probability: Tensor) -> Tensor:
    """Multiply each of four bands of frequencies by a factor, each with a probability (Karras et al., 2020).

    The factor's logarithm to the base 2 deviates by 1. All bands are then scaled so that an image with the usual
    spectrum, ten times the power in the lowest band, keeps its power. An unchanged image stays bit-identical.

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
    """Return the share of each frequency in each band; the shares of a frequency add up to 1.

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


def frequencies(size: int, like: Tensor) -> Tensor:
    """Return the frequencies of `size` pixels, in radians per pixel, from 0 to just below pi; (size,)."""
    return torch.arange(size, dtype=like.dtype, device=like.device) * (math.pi / size)


def amplify(images: Tensor, down: Tensor, across: Tensor, finer: int = 1) -> Tensor:
    """Multiply the waves of images by gains, and sample them more finely.

    Args:
        images: (n, channels, height, width).
        down: Gains of the waves along columns, at `frequencies(height, images)`; (n, height).
        across: Gains of the waves along rows, (n, width).
        finer: Samples per pixel along each axis; the values of the images are those at the centres of pixels.

    Returns:
        (n, channels, finer * height, finer * width).
    """
    columns = _matrices(down, finer).unsqueeze(1) @ images
    rows = columns.flatten(1, 2) @ _matrices(across, finer).mT  # of all channels at once
    return rows.view(*columns.shape[:3], -1)


def _matrices(gains: Tensor, finer: int) -> Tensor:
    """Return matrices that transform columns to waves, apply gains, and transform back; (n, finer * size, size)."""
    size = gains.shape[1]
    norm = torch.full_like(gains[0], 2 / size)
    norm[0].fill_(1 / size)  # an assignment would wait for a GPU
    return _waves(size, finer, gains) @ ((gains * norm).unsqueeze(2) * _waves(size, 1, gains).T)


def _waves(size: int, finer: int, like: Tensor) -> Tensor:
    """Return the waves at all sample positions, (finer * size, size)."""
    positions = (torch.arange(finer * size, dtype=like.dtype, device=like.device) + 0.5) / finer
    return torch.cos(positions.unsqueeze(1) * frequencies(size, like))
