"""Batches of prepared images, and what they become on the device."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from aigc.data.images.views import INDEX, Views


class Batch(TypedDict):
    """What a task of images gets."""

    images: Tensor
    """uint8 of shape (n, channels, height, width); `to_float` makes numbers from -1 to 1 of them on the device."""
    labels: NotRequired[Tensor]
    """The class of each image, int64 of shape (n,); only with data.labels."""


class Placed(TypedDict):
    """What a loader gives where the images lie on the device already."""

    places: Tensor
    """int64 of shape (n, 4), see `Views.draw`; `ImageData.transfer_batch_to_device` makes a `Batch` of it."""


class ImageRows(Dataset[Batch | Placed]):
    """The prepared images, read through a memory map. A sample is asked for by `(epoch, index)`.

    Args:
        folder: Holds `pixels.npy`, uint8 of shape (n, channels, height, width), and perhaps `labels.npy`, int64 (n,).
        labels: Whether batches have labels.
        views: How images vary from epoch to epoch.
        placed: Whether samples are only said, not read.
    """

    def __init__(self, folder: Path, labels: bool, views: Views | None = None, placed: bool = False) -> None:
        self.folder = folder
        self.views = views or Views()
        self.placed = placed
        self.pixels: NDArray[np.uint8] = np.load(folder / "pixels.npy", mmap_mode="r")
        self.labels = np.load(folder / "labels.npy") if labels else None

    def __reduce__(self) -> tuple[type["ImageRows"], tuple[Path, bool, Views, bool]]:
        # A pickled memory map is a copy of the whole array: a worker opens the files itself.
        return ImageRows, (self.folder, self.labels is not None, self.views, self.placed)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, sample: tuple[int, int]) -> Batch | Placed:
        return self.__getitems__([sample])

    def __getitems__(self, samples: Sequence[tuple[int, int]]) -> Batch | Placed:
        """The batch of some images of one epoch; the loader calls this once for each batch."""
        places = torch.from_numpy(self.views.draw(samples[0][0], np.array([index for _, index in samples])))
        return Placed(places=places) if self.placed else self.batch(places)

    def batch(self, places: Tensor) -> Batch:
        """The images at some places, see `Views.draw`."""
        chosen: Any = places[:, INDEX].numpy()
        batch = Batch(images=self.views.show(torch.from_numpy(np.asarray(self.pixels[chosen])), places))
        if self.labels is not None:
            batch["labels"] = torch.from_numpy(self.labels[chosen])
        return batch


class Resident:
    """The same images on a device, where batches of them are made without asking the processor.

    Args:
        images: What is copied there.
        device: Where.
    """

    def __init__(self, images: ImageRows, device: torch.device) -> None:
        self.views = images.views
        self.pixels = torch.from_numpy(np.array(images.pixels)).to(device)
        self.labels = None if images.labels is None else torch.from_numpy(images.labels).to(device)

    def batch(self, places: Tensor) -> Batch:
        """The images at some places on the device, see `Views.draw`."""
        chosen = places[:, INDEX]
        batch = Batch(images=self.views.show(self.pixels[chosen], places))
        if self.labels is not None:
            batch["labels"] = self.labels[chosen]
        return batch


def to_float(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Bytes as numbers from -1 to 1: `x / 127.5 - 1`.

    Args:
        images: uint8 of any shape.
        dtype: Of the result; it is computed in float32, as bfloat16 has too few bits for 256 levels.
    """
    return images.float().div_(127.5).sub_(1).to(dtype)
