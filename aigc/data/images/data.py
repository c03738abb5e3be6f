"""Pictures to train on: a datamodule that goes from a folder or a file to batches of equal size."""

from functools import cached_property
from typing import Annotated, get_args

import numpy as np

from aigc.config.types import Bound
from aigc.data.base import PreparedData
from aigc.data.hints import see_choice
from aigc.data.images.arrays import ArrayImages
from aigc.data.images.base import Images
from aigc.data.images.batches import Batch, Pictures
from aigc.data.images.decode import Alpha
from aigc.data.images.fit import Channels, Crop, Recipe
from aigc.data.images.prepared import Prepared, prepare
from aigc.data.images.reading import Bad
from aigc.data.images.sources import open_images
from aigc.data.loader import EpochLoader
from aigc.errors import InputError


class ImageData(PreparedData[Prepared]):
    """Pictures to train on, all of them: none is held out, as generators are measured against what they learn from.

    Batches are described in `aigc.data.images.batches.Batch`. The order is a pure function of seed and epoch.

    Args:
        path: Pictures: a folder (searched at any depth), a .zip, .npz or .npy file, or `asset:emoji32.png`.
        resolution: Height and width that all pictures are scaled to; null keeps them, and all must be equal.
        channels: 3 for colour, 1 for grey.
        crop: `center` takes the largest square in the middle; `none` squeezes a picture that is no square.
        labels: Whether batches have labels, from folders or from an array beside the pictures.
        alpha: What becomes of transparency: `drop` ignores it, `white` and `black` are grounds to lay pictures on.
        bad: What becomes of a picture that cannot be read: `fail`, or `skip`, which tells how many were left out.
        batch_size: Pictures in a batch.
        shuffle: Whether pictures come in random order; otherwise in that of the set, each epoch alike.
        num_workers: Processes that build batches beside the training process; 0 builds them in it.
        seed: Decides in which order the pictures come.
        cache: Folder where prepared data are kept and found again.

    Raises:
        InputError: An argument is out of its range.
    """

    def __init__(
        self,
        path: str,
        *,
        resolution: Annotated[int, Bound(1)] | None = None,
        channels: Channels = 3,
        crop: Crop = "center",
        labels: bool = False,
        alpha: Alpha = "drop",
        bad: Bad = "fail",
        batch_size: Annotated[int, Bound(1)] = 64,
        shuffle: bool = True,
        num_workers: Annotated[int, Bound(0)] = 0,
        seed: Annotated[int, Bound(0)] = 0,
        cache: str = "~/.cache/aigc",
    ) -> None:
        super().__init__(path, batch_size, shuffle, num_workers, seed, cache)
        see_choice("data.alpha", alpha, get_args(Alpha))
        self.alpha = alpha
        self.labels = labels
        self.recipe = Recipe(resolution, channels, crop, bad)

    def _prepare(self) -> Prepared:
        self._source = open_images(self.path, alpha=self.alpha)
        if self.labels and self._source.labels is None:
            raise InputError(
                f"data.labels: {self.path} has none. They come from folders, one level down and two at least, or from "
                "`labels` or `y` beside the pictures of an .npz file. Set data.labels=false, or sort the pictures."
            )
        prepared = prepare(self.recipe, self._source, self.cache)
        number = len(prepared.pixels)
        if number < self.batch_size:
            raise InputError(
                f"{self.path} gives {number} pictures, fewer than data.batch_size {self.batch_size}. "
                "Lower data.batch_size, or give more pictures."
            )
        return prepared

    @property
    def resolution(self) -> int:
        """Height and width of the prepared pictures."""
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
        """The prepared pictures, exactly those that are trained on, as a set that can be measured."""
        prepared, names = self.prepared, self._source
        return ArrayImages(
            self.path,
            np.moveaxis(prepared.pixels, 1, 3),
            prepared.labels,
            self.classes,
            name_of=lambda index: names.name_of(int(prepared.kept[index])),
        )

    def example_images(self, count: int = 1) -> Batch:
        """The first training pictures as a batch, to try a model's forward pass on."""
        return self._pictures().__getitems__(range(min(count, len(self.prepared.pixels))))

    def train_dataloader(self) -> EpochLoader:
        """Batches of `batch_size` pictures; those that fill no batch are left out, others in each epoch."""
        return self._training_loader(self._pictures())

    def _pictures(self) -> Pictures:
        return Pictures(self.prepared.folder, self.labels)
