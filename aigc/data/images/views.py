"""What a training batch shows of an image: itself, mirrored, or moved a little; a function of whole numbers alone."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

INDEX, MIRRORED, TOP, LEFT = range(4)
"""Columns of the places that `Views.draw` gives: the image's number, 0 or 1, and where its window begins."""

_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Views:
    """How images of a training batch vary, and the seed of it."""

    seed: int = 0
    flip: bool = False
    """Whether every second image, by chance, is mirrored left to right."""
    shift: int = 0
    """By how many pixels images are padded, by reflection, before a window of their size is cut out at random."""

    def draw(self, epoch: int, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Draw what an epoch shows of some images: a function of seed, epoch and each image's number alone.

        Returns:
            Places, of shape (n, 4).
        """
        places = np.zeros((len(indices), 4), np.int64)
        places[:, INDEX] = indices
        if self.flip or self.shift:
            key = _mixed(_mixed(np.uint64(self.seed + 1)) + np.uint64(epoch))
            drawn = _mixed(key + indices.astype(np.uint64))
            places[:, MIRRORED] = (drawn >> np.uint64(63)) * np.uint64(self.flip)
            # 31 bits each, as whole numbers from 0 to twice the padding: off by less than one in 10^7
            for column, low in ((TOP, 32), (LEFT, 1)):
                part = (drawn >> np.uint64(low)) & np.uint64(2**31 - 1)
                places[:, column] = (part * np.uint64(2 * self.shift + 1)) >> np.uint64(31)
        return places

    def show(self, images: Tensor, places: Tensor) -> Tensor:
        """Show images as they were drawn; whole numbers are moved only, so that every device gives the same.

        Args:
            images: Of shape (n, channels, height, width), of any type.
            places: What `draw` gave for them, on the same device.

        Returns:
            Of the same shape.
        """
        if self.shift:
            return _moved(images, places, self.shift)
        if self.flip:
            return torch.where(places[:, MIRRORED, None, None, None].bool(), images.flip(3), images)
        return images


def _moved(images: Tensor, places: Tensor, shift: int) -> Tensor:
    """The windows of padded and perhaps mirrored images, without padding anything: each pixel is looked up once."""
    number, channels, height, width = images.shape
    rows = _reflected(torch.arange(height, device=images.device) + places[:, TOP, None] - shift, height)
    columns = _reflected(torch.arange(width, device=images.device) + places[:, LEFT, None] - shift, width)
    columns = torch.where(places[:, MIRRORED, None].bool(), columns.flip(1), columns)
    lookup = (rows[:, :, None] * width + columns[:, None, :]).view(number, 1, -1).expand(-1, channels, -1)
    return images.flatten(2).gather(2, lookup).view_as(images)


def _reflected(places: Tensor, size: int) -> Tensor:
    """Places beyond an edge, as many before it; the edge itself counts once."""
    return size - 1 - (size - 1 - places.abs()).abs()


def _mixed(numbers: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea and Flood, 2014): random bits of each number, by whole-number arithmetic alone."""
    mixed = np.atleast_1d(numbers) * np.uint64(_GOLDEN) + np.uint64(_GOLDEN)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)
