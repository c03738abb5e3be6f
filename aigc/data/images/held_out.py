"""The images for validation: a share of the prepared images, or a set of their own."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc.data.images.base import Images
from aigc.data.images.classes import raise_label_error
from aigc.data.images.fit import ImageRecipe
from aigc.data.images.prepared import PreparedImages, prepare
from aigc.data.images.split import Indices, count_shared, split_images
from aigc.data.progress import log_once
from aigc.errors import InputError
from aigc.printing import plural


@dataclass(frozen=True)
class HeldOut:
    """Which images are validated on, and which are left for training.

    Attributes:
        images: The prepared images that hold those for validation.
        indices: Which of them are validated on; None is all.
        train: Which of the images for training are trained on; None is all.
        origin: What the choice depends on besides the images for training, for the fingerprint of the data.
    """

    images: PreparedImages
    indices: Indices | None
    train: Indices | None
    origin: list[Any]

    def __len__(self) -> int:
        return len(self.images.pixels) if self.indices is None else len(self.indices)

    def described(self, info: dict[str, Any]) -> dict[str, Any]:
        """Return the `info` of the images for training with the numbers and the fingerprint of both parts."""
        parts = [info["fingerprint"], *self.origin]
        return info | {
            "fingerprint": hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
            "train": info["train"] if self.train is None else {"images": len(self.train)},
            "validation": {"rows": len(self), "images": len(self)},
        }


def split_off(prepared: PreparedImages, fraction: float, seed: int, cache: Path, by_class: bool) -> HeldOut:
    """Hold out a share of the prepared images; arguments and errors as of `split_images`."""
    split = split_images(prepared, fraction, seed, cache, by_class)
    return HeldOut(prepared, split.validation, split.train, [fraction, seed])


def validation_set(
    source: Images, train_source: Images, train: PreparedImages, recipe: ImageRecipe, cache: Path, same_classes: bool
) -> HeldOut:
    """Prepare a set of its own for validation, which must be like that for training.

    Args:
        source: The images for validation.
        train_source: The images for training.
        train: The same, prepared.
        recipe: How images are fitted.
        cache: The folder that holds the entries.
        same_classes: Whether both must have the same classes.

    Raises:
        InputError: Classes or sizes differ, or an image cannot be read.
    """
    if same_classes:
        raise_label_error(source)
    if same_classes and source.classes != train_source.classes:
        raise InputError(
            f"data.validation_path: {source.name} has the classes {', '.join(source.classes) or '(none)'}, and "
            f"{train_source.name} has {', '.join(train_source.classes)}. They must be the same, in name and order."
        )
    prepared = prepare(recipe, source, cache)
    if prepared.pixels.shape[1:] != train.pixels.shape[1:]:
        raise InputError(
            f"data.validation_path: the images of {source.name} are {prepared.info['resolution']} pixels wide, and "
            f"those of {train_source.name} {train.info['resolution']}. Set data.resolution."
        )
    if shared := count_shared(train, prepared, cache):
        what = f"{source.name} shares {plural(shared, 'image')} with {train_source.name}"
        log_once(f"{what}: validation is not independent of training", logging.WARNING)
    return HeldOut(prepared, None, None, [prepared.info["fingerprint"]])
