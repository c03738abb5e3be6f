"""Images to train on: a datamodule that goes from a folder or a file to batches of equal size."""

from functools import cached_property
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch

from aigc.config.types import Bound
from aigc.data.base import PreparedData, check_minimum
from aigc.data.hints import check_choice
from aigc.data.images.arrays import ArrayImages
from aigc.data.images.base import Images, Labels
from aigc.data.images.batches import Batch, ImageRows, Resident
from aigc.data.images.decode import Alpha
from aigc.data.images.fit import Channels, Crop, ImageRecipe
from aigc.data.images.prepared import PreparedImages, prepare
from aigc.data.images.reading import OnBad
from aigc.data.images.sources import open_images
from aigc.data.images.views import Views
from aigc.data.loader import EpochLoader
from aigc.data.progress import log_once
from aigc.errors import InputError

MOST_RESIDENT = 1 << 30
"""Bytes of images up to which `on_device: auto` keeps them on an accelerator."""


class ImageData(PreparedData[PreparedImages]):
    """Images to train on, all of them: none is held out, as generators are measured against what they learn from.

    Batches are described in `aigc.data.images.batches.Batch`. Order, flips and shifts are a pure function of seed and
    epoch, equal for any number of workers and on any device.

    Args:
        path: Images: a folder (searched at any depth), a .zip, .npz, .npy, .h5 or .hdf5 file, a folder saved by
            `datasets`, `asset:emoji32.png`, `asset:digits8.npz`, `fonts:letters`, `torchvision:CIFAR10` (or CIFAR100,
            MNIST, FashionMNIST, CelebA, LFW), or `hub:NAME` on the Hugging Face Hub.
        resolution: Height and width that all images are scaled to; null keeps them, and all must be equal.
        channels: 3 for colour, 1 for grey.
        crop: `center` takes the largest square in the middle; `none` squeezes an image that is no square.
        labels: Whether batches have labels, from folders, from an array beside the images, or as the set has them.
        alpha: What becomes of transparency: `drop` ignores it, `white` and `black` are grounds to lay images on.
        on_bad: What becomes of an image that cannot be read: `fail`, or `skip`, which tells how many were left out.
        flip: Whether training batches show images mirrored left to right, by chance, every second one.
        shift: Training batches show images moved at random by up to so many pixels, their edges filled by reflection.
        batch_size: Images in a batch.
        batches_per_step: How many batches of batch_size the task gets at once; a GAN's n_critic, which learns the
            discriminator from one after the other.
        on_device: Whether images are kept on the accelerator and batches made there; `auto` does it up to 1 GiB.
            Nothing is copied on a CPU.
        shuffle: Whether images come in random order; otherwise in that of the set, each epoch alike.
        num_workers: Processes that build batches beside the training process; 0 builds them in it.
        seed: Decides in which order the images come.
        cache: Folder where prepared data are kept and found again.
        root: The folder of torchvision's sets.
        download: Whether a set of torchvision is fetched where its files are missing.

    Raises:
        InputError: An argument is out of its range.
    """

    def __init__(
        self,
        path: str,
        *,
        resolution: Annotated[int, Bound(1, 4096)] | None = None,
        channels: Channels = 3,
        crop: Crop = "center",
        labels: bool = False,
        alpha: Alpha = "drop",
        on_bad: OnBad = "fail",
        flip: bool = False,
        shift: Annotated[int, Bound(0)] = 0,
        batch_size: Annotated[int, Bound(1)] = 64,
        batches_per_step: Annotated[int, Bound(1)] = 1,
        on_device: bool | Literal["auto"] = "auto",
        shuffle: bool = True,
        num_workers: Annotated[int, Bound(0)] = 0,
        seed: Annotated[int, Bound(0)] = 0,
        cache: str = "~/.cache/aigc",
        root: str = "~/.cache/aigc/torchvision",
        download: bool = False,
    ) -> None:
        super().__init__(path, batch_size, shuffle, num_workers, seed, cache)
        check_choice("data.alpha", alpha, get_args(Alpha))
        check_minimum("shift", shift, 0)
        check_minimum("batches_per_step", batches_per_step, 1)
        self.alpha = alpha
        self.labels = labels
        self.recipe = ImageRecipe(resolution, channels, crop, on_bad)
        self.views = Views(seed, flip, shift)
        self.batches_per_step = batches_per_step
        self.on_device = on_device
        self.root = root
        self.download = download
        self._resident: Resident | ImageRows | None = None

    def _prepare(self) -> PreparedImages:
        self._source = open_images(
            self.path, alpha=self.alpha, size=self.recipe.resolution, root=self.root, download=self.download
        )
        if self.labels:
            self._check_labels(self._source.labels)
        prepared = prepare(self.recipe, self._source, self.cache)
        if self.labels:  # images that cannot be read may have been left out
            self._check_labels(prepared.labels)
        number, _, height, _ = prepared.pixels.shape
        self._check_enough(number, height)
        return prepared

    def _check_labels(self, labels: Labels | None) -> None:
        """Refuse a set without classes, or with images of one alone; tell of classes without images."""
        if labels is None:
            raise InputError(
                f"data.labels: {self.path} has none. They come from folders, one level down and two at least, or from "
                "`labels` or `y` beside the images of an .npz or HDF5 file. Set data.labels=false, or sort the "
                "images."
            )
        there = np.unique(labels)
        if len(there) < 2:
            only = self._source.classes[int(there[0])]
            raise InputError(
                f"data.labels: {self.path} has images of one class only, '{only}'; a task with classes needs two at "
                "least. Set data.labels=false, or give images of more classes."
            )
        if missing := [name for label, name in enumerate(self._source.classes) if label not in there]:
            log_once(f"data.labels: {self.path} has no image of {len(missing)} classes: {', '.join(missing[:8])}")

    def _check_enough(self, number: int, height: int) -> None:
        """Refuse images that fill no batch, and a shift that is larger than they are."""
        needed, product = self.batch_size * self.batches_per_step, f"data.batch_size {self.batch_size}"
        if self.batches_per_step > 1:
            product += f" x data.batches_per_step {self.batches_per_step} = {needed}"
        if number < needed:
            lower = "data.batch_size or data.batches_per_step" if self.batches_per_step > 1 else "data.batch_size"
            raise InputError(
                f"{self.path} gives {number} images, fewer than {product}. Lower {lower}, or give more images."
            )
        if self.views.shift >= height:
            raise InputError(f"data.shift is {self.views.shift}; allowed: less than the images' height, {height}.")

    @property
    def resolution(self) -> int:
        """Height and width of the prepared images."""
        return int(self.info["resolution"])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return int(self.info["channels"])

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes by label, whether or not batches have labels; empty where there are none."""
        return tuple(self.info["ingredients"]["classes"])

    @cached_property
    def images(self) -> Images:
        """The prepared images, exactly those that are trained on, as a set that can be measured."""
        prepared, names = self.prepared, self._source
        return ArrayImages(
            self.path,
            np.moveaxis(prepared.pixels, 1, 3),
            prepared.labels,
            self.classes,
            name_of=lambda index: names.name_of(int(prepared.kept[index])),
        )

    def example_images(self, count: int = 1) -> Batch:
        """The first images as they are, as a batch, to try a model's forward pass on."""
        first = np.arange(min(count, len(self.prepared.pixels)))
        return ImageRows(self.prepared.folder, self.labels).batch(torch.from_numpy(Views().draw(0, first)))

    def train_dataloader(self) -> EpochLoader:
        """Batches of `batch_size * batches_per_step` images; those that fill no batch are left out.

        Where images lie on the device, the loader only says which: then `transfer_batch_to_device` makes the batch,
        which Lightning calls.
        """
        rows = ImageRows(self.prepared.folder, self.labels, self.views, placed=self._is_resident())
        return self._training_loader(rows, self.batch_size * self.batches_per_step)

    def _is_resident(self) -> bool:
        """Whether batches are made on the device."""
        if self.on_device != "auto":
            return self.on_device
        is_small = self.prepared.pixels.nbytes <= MOST_RESIDENT
        return is_small and self.trainer is not None and self.trainer.strategy.root_device.type != "cpu"

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch to the device, or make it of the images there."""
        if "places" not in batch:
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        if self._resident is None:
            images = ImageRows(self.prepared.folder, self.labels, self.views)
            self._resident = images if device.type == "cpu" else Resident(images, device)
        return self._resident.batch(batch["places"].to(device, non_blocking=True))

    def teardown(self, stage: str | None = None) -> None:
        """Free the device."""
        self._resident = None
