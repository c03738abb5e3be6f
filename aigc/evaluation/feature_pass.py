"""One pass of a feature extractor over a set of images, whatever their sizes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aigc.data.images import ImageArray, Images, decoded
from aigc.data.progress import step
from aigc.errors import InputError
from aigc.metrics.image import FeatureStatistics, Statistics
from aigc.metrics.image.extractors import Extracted, Extractor, train_classifier
from aigc.metrics.image.extractors.classifier import SIZE
from aigc.printing import plural

_WAITING = 4
"""Largest number of batches of images that wait for others of their size."""


def measure_images(
    images: Images,
    extractor: Extractor,
    keep: bool,
    reservoir: int = 50_000,
    heldout: Sequence[int] = (),
    batch_size: int = 64,
) -> tuple[Statistics, Statistics | None]:
    """Extract the features of all images, in this process alone.

    Args:
        images: The images.
        extractor: Computes the features.
        keep: Whether features and logits are kept.
        reservoir: Largest number of images for which they are kept.
        heldout: Indices of images that are also measured apart.
        batch_size: Number of images of one size in a batch.

    Returns:
        Statistics of all images, and of the held-out ones if there are any.

    Raises:
        InputError: An image cannot be read, its features are not finite, or there are fewer than two.
        InterruptedRun, PreemptedRun: The process was asked to stop.
    """
    whole = FeatureStatistics(extractor, keep, reservoir, over_ranks=False)
    part = FeatureStatistics(extractor, over_ranks=False)
    apart = torch.tensor(sorted(heldout), dtype=torch.int64)
    with step(f"measuring {plural(len(images), 'image')}", len(images)) as advance:
        for numbers, batch in _batches(images, batch_size):
            extracted = extractor(batch)
            if not bool((finite := torch.isfinite(extracted.features).all(dim=1)).all()):
                bad = int(numbers[~finite.cpu()][0])
                raise InputError(f"{images.name_of(bad)}: its features are not finite numbers")
            whole.add(extracted, numbers)
            if len(apart):
                chosen = torch.isin(numbers, apart)
                part.add(Extracted(extracted.features.cpu()[chosen], None), numbers[chosen])
            advance(len(numbers))
    return whole.compute(), part.compute() if len(apart) > 1 else None


def classifier_of(images: Images, cache: Path) -> Extractor:
    """Train a small network on the classes of a set of images, or read it from the cache.

    Raises:
        InputError: The images have no labels, or cannot be read.
    """
    if images.labels is None:
        raise InputError(f"{images.name}: the extractor `classifier` learns from labels, but these images have none")
    arrays = [array for _, array in decoded(images, apply=_small)]
    pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
    return train_classifier(pixels, images.labels, cache=cache / "classifiers")


def _small(image: ImageArray) -> ImageArray:
    """Resize to the size that the classifier takes."""
    return np.array(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def _batches(images: Images, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield indices and images (uint8, NCHW) of one size; batches are smaller where too many sizes wait."""
    waiting: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
    held = 0
    for number, image in decoded(images):
        same = waiting.setdefault(image.shape, [])
        same.append((number, image))
        held += 1
        if len(same) == batch_size or held == _WAITING * batch_size:
            fullest = max(waiting, key=lambda shape: len(waiting[shape]))
            held -= len(waiting[fullest])
            yield _stacked(waiting.pop(fullest))
    for same in waiting.values():
        yield _stacked(same)


def _stacked(same: list[tuple[int, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.from_numpy(np.stack([image for _, image in same])).permute(0, 3, 1, 2)
    return torch.tensor([number for number, _ in same]), images.contiguous()
