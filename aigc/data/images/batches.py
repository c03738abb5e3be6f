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
from aigc.data.sampler import deal


class Batch(TypedDict):
    """What a task of images gets."""

    images: Tensor
    """uint8 of shape (n, channels, height, width); `to_float` makes numbers from -1 to 1 of them on the device."""
    labels: NotRequired[Tensor]
    """The class of each image, int64 of shape (n,); only with data.labels."""
    samples: NotRequired[int]
    """In validation: how many of the images count, all or, in a batch that fills up a rank, none."""


class DrawnViews(TypedDict):
    """What a loader gives if the images are on the device already."""

    views: Tensor
    """int64 of shape (n, 4), see `Views.draw`; `ImageData.transfer_batch_to_device` makes a `Batch` of it."""


class ImageRows(Dataset[Batch | DrawnViews]):
    """The prepared images, read through a memory map. A sample is asked for by `(epoch, index)`.

    Args:
        folder: Holds `pixels.npy`, uint8 of shape (n, channels, height, width), and perhaps `labels.npy`, int64 (n,).
        labels: Whether batches have labels.
        views: How images vary from epoch to epoch.
        views_only: Whether batches only say which images they have, and are made on the device.
        indices: Which of the images there are; None is all.
    """

    def __init__(
        self,
        folder: Path,
        labels: bool,
        views: Views | None = None,
        views_only: bool = False,
        indices: NDArray[np.int64] | None = None,
    ) -> None:
        self.folder = folder
        self.views = views or Views()
        self.views_only = views_only
        self.indices = indices
        self.pixels: NDArray[np.uint8] = np.load(folder / "pixels.npy", mmap_mode="r")
        self.labels = np.load(folder / "labels.npy") if labels else None

    def __reduce__(self) -> tuple[type["ImageRows"], tuple[Any, ...]]:
        # A pickled memory map is a copy of the whole array: a worker opens the files itself.
        return ImageRows, (self.folder, self.labels is not None, self.views, self.views_only, self.indices)

    def __len__(self) -> int:
        return len(self.pixels) if self.indices is None else len(self.indices)

    def __getitem__(self, sample: tuple[int, int]) -> Batch | DrawnViews:
        return self.__getitems__([sample])

    def __getitems__(self, samples: Sequence[tuple[int, int]]) -> Batch | DrawnViews:
        """Return the batch of some images of one epoch; the loader calls this once for each batch."""
        chosen = np.array([index for _, index in samples])
        if self.indices is not None:
            chosen = self.indices[chosen]
        drawn = torch.from_numpy(self.views.draw(samples[0][0], chosen))
        return DrawnViews(views=drawn) if self.views_only else self.batch(drawn)

    def batch(self, drawn: Tensor) -> Batch:
        """Return the images in some views, see `Views.draw`."""
        chosen: Any = drawn[:, INDEX].numpy()
        batch = Batch(images=self.views.show(torch.from_numpy(np.asarray(self.pixels[chosen])), drawn))
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

    def batch(self, drawn: Tensor) -> Batch:
        """Return the images in some views on the device, see `Views.draw`."""
        chosen = drawn[:, INDEX]
        batch = Batch(images=self.views.show(self.pixels[chosen], drawn))
        if self.labels is not None:
            batch["labels"] = self.labels[chosen]
        return batch


class ValidationImages(Dataset[Batch]):
    """Validation images in order, dealt out among ranks, in as many batches on each.

    A rank that has fewer fills up with batches of one image that do not count: `samples` is 0.

    Args:
        rows: The images, as they are.
        batch_size: Images in a batch.
        rank: Which of the ranks this is.
        world_size: How many ranks there are.
    """

    def __init__(self, rows: ImageRows, batch_size: int, rank: int, world_size: int) -> None:
        self.rows = rows
        self.batches = deal(len(rows), batch_size, rank, world_size)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        chosen = self.batches[index]
        batch: Any = self.rows.__getitems__([(0, image) for image in chosen or [0]])
        batch["samples"] = len(chosen)
        return batch


def to_float(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Convert bytes to numbers from -1 to 1: `x / 127.5 - 1`.

    Args:
        images: uint8 of any shape.
        dtype: Of the result; it is computed in float32, as bfloat16 has too few bits for 256 levels.
    """
    return images.float().div_(127.5).sub_(1).to(dtype)
