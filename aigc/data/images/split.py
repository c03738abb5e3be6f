"""Training and validation images, split so that no image is on both sides."""

import hashlib
import heapq
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aigc.data.cache import entry_key, find_or_make
from aigc.data.images.prepared import PreparedImages
from aigc.errors import InputError

FORMAT = 1
"""Raised whenever the same settings would give another split."""

Indices = NDArray[np.int64]


class ImageSplit(NamedTuple):
    """The indices of training and validation images, each in the order of the set."""

    train: Indices
    validation: Indices


def split_images(prepared: PreparedImages, fraction: float, seed: int, cache: Path) -> ImageSplit:
    """Split off `fraction` of the distinct images for validation, and keep the split in the cache.

    Images with equal pixels are one image. Which go is decided by a hash of their pixels and the seed, so that adding
    images moves few of the others.

    Args:
        prepared: The images.
        fraction: Share of the distinct images, above 0 and below 1; at least one is split off.
        seed: Chooses another share.
        cache: The folder that holds the entries, under `image_splits/`.

    Raises:
        InputError: Nothing would be left to train on.
    """
    ingredients = {"format": FORMAT, "images": prepared.folder.name, "fraction": fraction, "seed": seed}
    folder = cache / "image_splits" / entry_key(ingredients)

    def make(aside: Path) -> None:
        train, validation = _split(prepared.pixels, fraction, seed)
        np.save(aside / "train.npy", train)
        np.save(aside / "validation.npy", validation)

    find_or_make(folder, make)
    return ImageSplit(np.load(folder / "train.npy"), np.load(folder / "validation.npy"))


def count_shared(train: PreparedImages, validation: PreparedImages, cache: Path) -> int:
    """How many distinct images are in both sets; counted once and kept in the cache."""
    ingredients = {"format": FORMAT, "images": train.folder.name, "validation": validation.folder.name}
    folder = cache / "image_splits" / entry_key(ingredients)

    def make(aside: Path) -> None:
        shared = set(_contents(train.pixels, 0)) & set(_contents(validation.pixels, 0))
        (aside / "shared.json").write_text(json.dumps(len(shared)), encoding="utf-8")

    find_or_make(folder, make)
    return int(json.loads((folder / "shared.json").read_text(encoding="utf-8")))


def _split(pixels: NDArray[np.uint8], fraction: float, seed: int) -> ImageSplit:
    contents = list(_contents(pixels, seed))
    distinct = set(contents)
    wanted = max(1, round(fraction * len(distinct)))
    if wanted >= len(distinct):
        raise InputError(
            f"data.validation_fraction {fraction} of {len(distinct)} distinct images leaves none to train on. "
            "Lower it, or give more images."
        )
    chosen = set(heapq.nsmallest(wanted, distinct))
    held_out = np.array([content in chosen for content in contents])
    return ImageSplit(np.flatnonzero(~held_out), np.flatnonzero(held_out))


def _contents(pixels: NDArray[np.uint8], seed: int) -> Iterable[bytes]:
    """A hash of each image's pixels and the seed."""
    begin = hashlib.sha256(f"{seed}\0".encode())
    for image in pixels:
        total = begin.copy()
        total.update(image.tobytes())
        yield total.digest()
