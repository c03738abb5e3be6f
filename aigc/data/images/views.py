"""Views of images in training batches: as they are, mirrored, or shifted; computed with whole numbers alone."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

INDEX, MIRRORED, TOP, LEFT = range(4)
"""Columns of what `Views.draw` gives: the index of the image, 0 or 1, and where its window begins."""

_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Views:
    """How images of a training batch vary, and the seed of it."""

    seed: int = 0
    flip: bool = False
    """Whether each image is mirrored left to right with probability 1/2."""
    shift: int = 0
    """By how many pixels images are padded, by reflection, before a window of their size is cut out at random."""

    def draw(self, epoch: int, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Draw what an epoch shows of some images: a function of seed, epoch and each image's number alone.

        Returns:
            int64 of shape (n, 4), see `INDEX`, `MIRRORED`, `TOP`, `LEFT`.
        """
        drawn = np.zeros((len(indices), 4), np.int64)
        drawn[:, INDEX] = indices
        if self.flip or self.shift:
            key = _mixed(_mixed(np.uint64(self.seed + 1)) + np.uint64(epoch))
            bits = _mixed(key + indices.astype(np.uint64))
            drawn[:, MIRRORED] = (bits >> np.uint64(63)) * np.uint64(self.flip)
            # 31 bits each, as whole numbers from 0 to twice the padding: off by less than one in 10^7
            for column, low in ((TOP, 32), (LEFT, 1)):
                part = (bits >> np.uint64(low)) & np.uint64(2**31 - 1)
                drawn[:, column] = (part * np.uint64(2 * self.shift + 1)) >> np.uint64(31)
        return drawn

    def show(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Show images as they were drawn; whole numbers are moved only, so that every device gives the same.

        Args:
            images: Of shape (n, channels, height, width), of any type.
            drawn: What `draw` gave for them, on the same device.

        Returns:
            Of the same shape.
        """
        if self.shift:
            return _moved(images, drawn, self.shift)
        if self.flip:
            return torch.where(drawn[:, MIRRORED, None, None, None].bool(), images.flip(3), images)
        return images


def _moved(images: Tensor, drawn: Tensor, shift: int) -> Tensor:
    """Return windows of padded, perhaps mirrored images without padding anything: each pixel is read once."""
    number, channels, height, width = images.shape
    rows = _reflected(torch.arange(height, device=images.device) + drawn[:, TOP, None] - shift, height)
    columns = _reflected(torch.arange(width, device=images.device) + drawn[:, LEFT, None] - shift, width)
    columns = torch.where(drawn[:, MIRRORED, None].bool(), columns.flip(1), columns)
    lookup = (rows[:, :, None] * width + columns[:, None, :]).view(number, 1, -1).expand(-1, channels, -1)
    return images.flatten(2).gather(2, lookup).view_as(images)


def _reflected(positions: Tensor, size: int) -> Tensor:
    """Reflect positions beyond an edge to as many before it; the edge itself counts once."""
    return size - 1 - (size - 1 - positions.abs()).abs()


def _mixed(numbers: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint64]:
    """Hash each number to random bits by SplitMix64 (Steele, Lea and Flood, 2014), in whole numbers alone."""
    mixed = np.atleast_1d(numbers) * np.uint64(_GOLDEN) + np.uint64(_GOLDEN)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)
