"""Images to train on: a data module from a folder or a file to batches of one size."""

from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch.utils.data import DataLoader

from aigc.config.types import Bound
from aigc.data.base import PreparedData, check_minimum
from aigc.data.hints import check_choice
from aigc.data.images.arrays import ArrayImages
from aigc.data.images.base import Images
from aigc.data.images.batches import Batch, ImageRows, Resident, ValidationImages
from aigc.data.images.classes import check_labels, log_unused, raise_label_error
from aigc.data.images.decode import Alpha
from aigc.data.images.fit import Channels, Crop, ImageRecipe
from aigc.data.images.held_out import HeldOut, split_off, validation_set
from aigc.data.images.prepared import PreparedImages, prepare
from aigc.data.images.reading import OnBad
from aigc.data.images.sources import open_images
from aigc.data.images.split import Indices
from aigc.data.images.views import Views
from aigc.data.loader import EpochLoader, unbatched, worker_settings
from aigc.data.preview import Description
from aigc.distributed.data_rank import data_rank
from aigc.errors import InputError
from aigc.printing import plural

MOST_RESIDENT = 1 << 30
"""Bytes of images up to which `on_device: auto` keeps them on an accelerator."""


class ImageData(PreparedData[PreparedImages]):
    """Images to train on. None is held out by default, as generators are measured against what they learn from.

    Batches are described in `aigc.data.images.batches.Batch`. Order, flips and shifts are a pure function of seed and
    epoch, equal for any number of workers and on any device.

    Args:
        path: Images: a folder (searched at any depth, links are followed), a .zip, .npz, .npy, .h5 or .hdf5 file, a
            folder saved by `datasets`, `asset:emoji32.png`, `asset:digits8.npz`, `fonts:letters`, `torchvision:CIFAR10`
            (or CIFAR100, MNIST, FashionMNIST, CelebA, LFW), or `hub:NAME` on the Hugging Face Hub.
        resolution: Height and width that all images are scaled to; null keeps them, and all must be equal.
        channels: 3 for colour, 1 for grey.
        crop: `center` takes the largest square in the middle; `none` squeezes an image that is not a square.
        labels: Whether batches have labels, from folders, from StyleGAN's dataset.json, from an array beside the
            images, or as the set has them.
        alpha: How transparency is treated: `drop` ignores it, `white` and `black` are backgrounds.
        on_bad: How an image is treated that cannot be read: `fail`, or `skip`, which logs how many were left out.
        flip: Whether training batches show images mirrored left to right, each with probability 1/2.
        shift: Training batches show images moved at random by up to this many pixels, their edges filled by reflection.
        validation_fraction: Share of the distinct images that is held out, from 0 (none) to below 1; images with equal
            pixels are one. With `labels`, no class is left without images to train on.
        validation_path: Images for validation, read like `path`; `validation_fraction` is then without effect.
        batch_size: Images in a batch.
        batches_per_step: How many batches of batch_size the task gets at once; a GAN's n_critic, which learns the
            discriminator from one after the other.
        on_device: Whether images are kept on the accelerator and batches made there; `auto` does it up to 1 GiB.
            Nothing is copied on a CPU.
        shuffle: Whether images come in random order; otherwise in that of the set, the same in each epoch.
        num_workers: Processes that build batches beside the training process; 0 builds them in it.
        seed: Decides which images are held out and in which order the others come.
        cache: Folder where prepared data are kept and found again.
        root: The folder of torchvision's sets.
        download: Whether a set of torchvision is fetched where its files are missing.

    Raises:
        InputError: An argument is out of its range.
    """

    holds = "images"

    often_changed: ClassVar = ("path", "resolution", "labels", "batch_size")
    split_by: ClassVar = ("validation_fraction", "seed", "labels", "resolution", "channels", "crop", "alpha")
    early_checks: ClassVar = {
        "path": "aigc.data.images.sources.check_path",
        "validation_path": "aigc.data.images.sources.check_path",
    }

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
        validation_fraction: Annotated[float, Bound(0, 0.99)] = 0.0,
        validation_path: str | None = None,
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
        if validation_path is not None and not validation_path.strip():
            raise InputError("the path is empty; null holds out a part of data.path")
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
        if not 0 <= validation_fraction < 1:
            raise InputError(f"data.validation_fraction is {validation_fraction}; allowed: at least 0 and below 1.")
        self.validation_fraction = 0.0 if validation_path else validation_fraction
        self.validation_path = validation_path
        self._resident: Resident | ImageRows | None = None
        self._held_out: HeldOut | None = None

    def _open(self, path: str) -> Images:
        return open_images(path, alpha=self.alpha, size=self.recipe.resolution, root=self.root, download=self.download)

    def _prepare(self) -> PreparedImages:
        self._source = self._open(self.path)
        if self.labels:
            raise_label_error(self._source)
            check_labels(self.path, self._source.labels, self._source.classes)
        else:
            log_unused(self.path, self._source)
        prepared = prepare(self.recipe, self._source, self.cache)
        if self.labels:  # images that cannot be read may have been left out
            check_labels(self.path, prepared.labels, self._source.classes)
        if self.validation_path:
            source = self._open(self.validation_path)
            self._held_out = validation_set(source, self._source, prepared, self.recipe, self.cache, self.labels)
        elif self.validation_fraction:
            self._held_out = split_off(prepared, self.validation_fraction, self.seed, self.cache, self.labels)
        number, _, height, _ = prepared.pixels.shape
        self._check_enough(number if self._train_indices is None else len(self._train_indices), height)
        return prepared

    @property
    def _train_indices(self) -> Indices | None:
        """The indices of the images to train on; None is all."""
        return None if self._held_out is None else self._held_out.train

    def _check_enough(self, number: int, height: int) -> None:
        """Check that the images fill a batch and are larger than the shift."""
        needed, product = self.batch_size * self.batches_per_step, f"data.batch_size {self.batch_size}"
        if self.batches_per_step > 1:
            product += f" x data.batches_per_step {self.batches_per_step} = {needed}"
        if number < needed:
            lower = "data.batch_size or data.batches_per_step" if self.batches_per_step > 1 else "data.batch_size"
            raise InputError(
                f"{self.path} gives {plural(number, 'image')}, fewer than {product}. Lower {lower}, or give more "
                "images."
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

    @property
    def info(self) -> dict[str, Any]:
        """Numbers of the data, and one section for each split."""
        return super().info if self._held_out is None else self._held_out.described(super().info)

    def describe(self) -> Description:
        """Add the classes."""
        known = super().describe()
        return replace(known, facts={**known.facts, "classes": list(self.classes), "labels": self.labels})

    @cached_property
    def images(self) -> Images:
        """The prepared images, exactly those that are trained on, as a set that can be measured."""
        prepared, names = self.prepared, self._source
        whole = ArrayImages(
            self.path,
            np.moveaxis(prepared.pixels, 1, 3),
            prepared.labels,
            self.classes,
            name_of=lambda index: names.name_of(int(prepared.kept[index])),
        )
        return whole if self._train_indices is None else whole.subset(self._train_indices.tolist())

    def train_dataloader(self) -> EpochLoader:
        """Return batches of `batch_size * batches_per_step` images; those that fill no batch are left out.

        Where images lie on the device, the loader only says which: then `transfer_batch_to_device` makes the batch,
        which Lightning calls.
        """
        rows = ImageRows(self.prepared.folder, self.labels, self.views, self._is_resident(), self._train_indices)
        return self._training_loader(rows, self.batch_size * self.batches_per_step)

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """Return the validation images as they are, in order, dealt among the ranks; an empty list without any.

        Each image is on one rank, and all ranks have as many batches; `samples` says how many images of a batch count.
        """
        if self._held_out is None:
            return []
        rows = ImageRows(self._held_out.images.folder, self.labels, indices=self._held_out.indices)
        dealt = ValidationImages(rows, self.batch_size, *data_rank())
        settings = worker_settings(self.num_workers, self.seed)
        return DataLoader(dealt, batch_size=None, collate_fn=unbatched, **settings)

    def _is_resident(self) -> bool:
        """Whether batches are made on the device."""
        if self.on_device != "auto":
            return self.on_device
        is_small = self.prepared.pixels.nbytes <= MOST_RESIDENT
        return is_small and self.trainer is not None and self.trainer.strategy.root_device.type != "cpu"

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch to the device, or make it of the images there."""
        if "views" not in batch:
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        if self._resident is None:
            images = ImageRows(self.prepared.folder, self.labels, self.views)
            self._resident = images if device.type == "cpu" else Resident(images, device)
        return self._resident.batch(batch["views"].to(device, non_blocking=True))

    def teardown(self, stage: str | None = None) -> None:
        """Free the device."""
        self._resident = None
