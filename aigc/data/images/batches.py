"""Batches of prepared pictures, and what they become on the device."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class Batch(TypedDict):
    """What a task of images gets."""

    images: Tensor
    """uint8 of shape (n, channels, height, width); `to_float` makes numbers from -1 to 1 of them on the device."""
    labels: NotRequired[Tensor]
    """The class of each image, int64 of shape (n,); only with data.labels."""


class Pictures(Dataset[Batch]):
    """The prepared pictures, read through a memory map.

    Args:
        folder: Holds `pixels.npy`, uint8 of shape (n, channels, height, width), and perhaps `labels.npy`, int64 (n,).
        labels: Whether batches have labels.
    """

    def __init__(self, folder: Path, labels: bool) -> None:
        self.folder = folder
        self.pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        self.labels = np.load(folder / "labels.npy") if labels else None

    def __reduce__(self) -> tuple[type["Pictures"], tuple[Path, bool]]:
        # A pickled memory map is a copy of the whole array: a worker opens the files itself.
        return Pictures, (self.folder, self.labels is not None)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The batch of some pictures; the loader calls this once for each batch."""
        chosen: Any = np.asarray(indices)
        batch = Batch(images=torch.from_numpy(np.asarray(self.pixels[chosen])))
        if self.labels is not None:
            batch["labels"] = torch.from_numpy(self.labels[chosen])
        return batch


def to_float(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Bytes as numbers from -1 to 1: `x / 127.5 - 1`.

    Args:
        images: uint8 of any shape.
        dtype: Of the result; it is computed in float32, as bfloat16 has too few bits for 256 levels.
    """
    return images.float().div_(127.5).sub_(1).to(dtype)
