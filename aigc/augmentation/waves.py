"""Images as sums of cosine waves: the discrete cosine transform, whose images go on as their mirror images."""

import math

import torch
from torch import Tensor


def frequencies(size: int, like: Tensor) -> Tensor:
    """Of the waves of `size` pixels, in radians for each pixel, from 0 to just below pi; (size,)."""
    return torch.arange(size, dtype=like.dtype, device=like.device) * (math.pi / size)


def amplify(images: Tensor, down: Tensor, across: Tensor, finer: int = 1) -> Tensor:
    """Multiply the waves of images by gains, and look at them at more places.

    Args:
        images: (n, channels, height, width).
        down: Gains of the waves along columns, at `frequencies(height, images)`; (n, height).
        across: Gains of the waves along rows, (n, width).
        finer: How many places lie side by side in each pixel; the images' values are those of the pixels' centres.

    Returns:
        (n, channels, finer * height, finer * width).
    """
    columns = _matrices(down, finer).unsqueeze(1) @ images
    rows = columns.flatten(1, 2) @ _matrices(across, finer).mT  # of all channels at once
    return rows.view(*columns.shape[:3], -1)


def _matrices(gains: Tensor, finer: int) -> Tensor:
    """What amplifies columns of pixels: to waves, times gains, and back; (n, finer * size, size)."""
    size = gains.shape[1]
    norm = torch.full_like(gains[0], 2 / size)
    norm[0].fill_(1 / size)  # an assignment would wait for a GPU
    return _waves(size, finer, gains) @ ((gains * norm).unsqueeze(2) * _waves(size, 1, gains).T)


def _waves(size: int, finer: int, like: Tensor) -> Tensor:
    """The waves at all places, (finer * size, size)."""
    places = (torch.arange(finer * size, dtype=like.dtype, device=like.device) + 0.5) / finer
    return torch.cos(places.unsqueeze(1) * frequencies(size, like))
