"""Statistics of real pictures, kept under a key of their content: measured once, and never stale."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aigc.data import entry
from aigc.data.images import Images
from aigc.evaluation.feature_pass import measure_images
from aigc.metrics.image import Statistics, read_statistics, smallest, write_statistics
from aigc.metrics.image.extractors import Extractor

FORMAT = 1
"""Raised whenever the same ingredients would give other statistics."""


class Real(NamedTuple):
    """Real pictures, and a random part of them, which says what a perfect generator would reach."""

    whole: Statistics
    heldout: Statistics | None


def real_statistics(
    images: Images, extractor: Extractor, cache: Path, keep: bool, heldout: int = 0, reservoir: int = 50_000
) -> Real:
    """Find the statistics of real pictures in the cache, or measure them.

    The key is a hash of the pictures' bytes and order, how many there are, the extractor's weights and preprocessing,
    and of what is kept; where they lie does not count. Of several processes one measures, and the others wait for it.

    Args:
        images: The pictures.
        extractor: What turns them into features.
        cache: The folder that holds the entries, under `image_statistics/`.
        keep: Whether features and logits are kept.
        heldout: How many pictures are also measured by themselves, half of all at most.
        reservoir: Features of how many pictures are kept at most.

    Raises:
        InputError: A picture cannot be read, there are fewer than two, or the cache cannot be written to.
    """
    heldout = min(heldout, len(images) // 2)
    ingredients = {
        "format": FORMAT,
        "images": images.fingerprint(),
        "number": len(images),
        "extractor": extractor.identity,
        "kept": reservoir if keep else 0,
        "heldout": heldout,
    }
    folder = cache / "image_statistics" / entry.key(ingredients)
    if not entry.is_whole(folder):
        with _alone(folder):
            if not entry.is_whole(folder):
                apart = smallest(np.arange(len(images)), heldout).tolist() if heldout > 1 else []
                whole, part = measure_images(images, extractor, keep, reservoir, apart)
                with entry.writing(folder) as aside:
                    write_statistics(aside / "whole.npz", whole)
                    if part is not None:
                        write_statistics(aside / "heldout.npz", part)
    part_file = folder / "heldout.npz"
    return Real(read_statistics(folder / "whole.npz"), read_statistics(part_file) if part_file.is_file() else None)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process in at a time; a process that dies lets the next one in."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
