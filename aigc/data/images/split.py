"""Training and validation images, split so that no image is on both sides."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aigc.data.cache import entry_key, find_or_make
from aigc.data.images.prepared import PreparedImages
from aigc.errors import InputError
from aigc.printing import plural

FORMAT = 1
"""Raised whenever the same settings would give another split."""

Indices = NDArray[np.int64]


class ImageSplit(NamedTuple):
    """The indices of training and validation images, each in the order of the set."""

    train: Indices
    validation: Indices


def split_images(
    prepared: PreparedImages, fraction: float, seed: int, cache: Path, by_class: bool = False
) -> ImageSplit:
    """Split off `fraction` of the distinct images for validation, and keep the split in the cache.

    Images with equal pixels are one image. They go in the order of a hash of their pixels and the seed, so that adding
    images moves few of the others.

    Args:
        prepared: The images.
        fraction: Share of the distinct images, above 0 and below 1; at least one is split off.
        seed: Chooses another share.
        cache: The folder that holds the entries, under `image_splits/`.
        by_class: Whether the last distinct image of each class stays for training.

    Raises:
        InputError: Nothing would be left to train on, or no image of some class.
    """
    ingredients = {"format": FORMAT, "images": prepared.folder.name, "fraction": fraction, "seed": seed}
    folder = cache / "image_splits" / entry_key(ingredients | ({"by_class": True} if by_class else {}))

    def make(aside: Path) -> None:
        number = len(prepared.pixels)
        labels = prepared.labels if by_class and prepared.labels is not None else np.zeros(number, np.int64)
        train, validation = _split(prepared.pixels, labels.tolist(), fraction, seed)
        np.save(aside / "train.npy", train)
        np.save(aside / "validation.npy", validation)

    find_or_make(folder, make)
    return ImageSplit(np.load(folder / "train.npy"), np.load(folder / "validation.npy"))


def count_shared(train: PreparedImages, validation: PreparedImages, cache: Path) -> int:
    """Count the distinct images that are in both sets, once, and keep the number in the cache."""
    ingredients = {"format": FORMAT, "images": train.folder.name, "validation": validation.folder.name}
    folder = cache / "image_splits" / entry_key(ingredients)

    def make(aside: Path) -> None:
        shared = set(_contents(train.pixels, 0)) & set(_contents(validation.pixels, 0))
        (aside / "shared.json").write_text(json.dumps(len(shared)), encoding="utf-8")

    find_or_make(folder, make)
    return int(json.loads((folder / "shared.json").read_text(encoding="utf-8")))


def _split(pixels: NDArray[np.uint8], labels: Sequence[int], fraction: float, seed: int) -> ImageSplit:
    contents = list(_contents(pixels, seed))
    classes: dict[bytes, set[int]] = {}
    for content, label in zip(contents, labels, strict=True):
        classes.setdefault(content, set()).add(label)  # copies of one image may have several
    left = Counter(chain.from_iterable(classes.values()))
    wanted = max(1, round(fraction * len(classes)))
    chosen: set[bytes] = set()
    for content in sorted(classes):
        if len(chosen) < wanted and all(left[label] > 1 for label in classes[content]):
            chosen.add(content)
            left.subtract(classes[content])
    if len(chosen) < wanted:
        what = "none" if len(left) == 1 else f"none of some of the {len(left)} classes"
        raise InputError(
            f"data.validation_fraction {fraction} of {plural(len(classes), 'distinct image')} leaves {what} to "
            "train on. "
            "Lower it, or give more images."
        )
    held_out = np.array([content in chosen for content in contents])
    return ImageSplit(np.flatnonzero(~held_out), np.flatnonzero(held_out))


def _contents(pixels: NDArray[np.uint8], seed: int) -> Iterable[bytes]:
    """Yield a hash of each image's pixels and the seed."""
    begin = hashlib.sha256(f"{seed}\0".encode())
    for image in pixels:
        total = begin.copy()
        total.update(image.tobytes())
        yield total.digest()
