"""Statistics of real images, cached under a hash of their content: measured once, never stale."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
import torch

from aigc.data.cache import entry_key, find_or_make
from aigc.data.images import Images
from aigc.errors import InputError
from aigc.evaluation.feature_pass import measure_images
from aigc.metrics.image import Statistics, read_statistics, smallest, write_statistics
from aigc.metrics.image.extractors import Extractor
from aigc.metrics.image.moments import mean_and_covariance, sums

FORMAT = 1
"""Increased whenever the same ingredients would give other statistics."""
_SMALL = 20_000
"""Largest set whose features are always kept."""


class Real(NamedTuple):
    """Statistics of real images and of a random part of them, which show what a perfect generator would reach."""

    whole: Statistics
    heldout: Statistics | None


def real_statistics(
    images: Images,
    extractor: Extractor,
    cache: Path,
    keep: bool,
    heldout: int = 0,
    reservoir: int = 50_000,
    batch_size: int = 64,
) -> Real:
    """Read the statistics of real images from the cache, or measure them.

    The key is a hash of the images' bytes and order, how many there are, the extractor's weights and preprocessing,
    and of what is kept; where they lie does not count. Of several processes one measures, and the others wait for it.
    The features of sets that are not large are kept in any case: then one entry serves all metrics, and any number of
    held-out images.

    Args:
        images: The images.
        extractor: Computes the features.
        cache: The folder that holds the entries, under `image_statistics/`.
        keep: Whether features and logits are kept.
        heldout: Number of images that are also measured apart, at most half of all.
        reservoir: Largest number of images whose features are kept.
        batch_size: Number of images in a batch.

    Raises:
        InputError: An image cannot be read or changed meanwhile, there are fewer than two, or the cache cannot be
            written to.
    """
    heldout = min(heldout, len(images) // 2)
    whole_kept = len(images) <= min(reservoir, _SMALL) or (keep and len(images) <= reservoir)
    keep = keep or whole_kept
    ingredients = {
        "format": FORMAT,
        "images": images.fingerprint(),
        "number": len(images),
        "extractor": extractor.identity,
        "kept": min(reservoir, len(images)) if keep else 0,
        "heldout": 0 if whole_kept else heldout,
        "pillow": PIL.__version__,
    }
    folder = cache / "image_statistics" / entry_key(ingredients)

    def measure(aside: Path) -> None:
        apart = [] if whole_kept or heldout < 2 else smallest(np.arange(len(images)), heldout).tolist()
        whole, part = measure_images(images, extractor, keep, reservoir, apart, batch_size)
        if images.has_changed():  # they would be kept under the key of other content
            raise InputError(f"{images.name} changed while it was measured. Start again once it no longer changes.")
        write_statistics(aside / "whole.npz", whole)
        if part is not None:
            write_statistics(aside / "heldout.npz", part)

    find_or_make(folder, measure)
    whole = read_statistics(folder / "whole.npz")
    if whole_kept:
        return Real(whole, _part(whole, heldout))
    part_file = folder / "heldout.npz"
    return Real(whole, read_statistics(part_file) if part_file.is_file() else None)


def _part(whole: Statistics, number: int) -> Statistics | None:
    """Return the statistics of a part of the images from their features, the part that a pass would choose."""
    if number < 2:
        return None
    assert whole.features is not None
    features = whole.features[torch.from_numpy(smallest(np.arange(len(whole.features)), number))]
    mean, covariance = mean_and_covariance(*sums(features))
    return Statistics(whole.suffix, whole.description, whole.identity, number, mean, covariance)
