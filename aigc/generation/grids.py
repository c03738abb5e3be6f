"""Grids of images, interpolations between latents, samples beside their nearest images."""

import io
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from aigc.metrics.image.path_length import interpolate
from aigc.runs.files import retrying, write_atomic

_GAP = 2
"""Pixels between two images."""


def grid(images: Tensor, columns: int | None = None) -> Tensor:
    """Arrange images in a grid, row by row.

    Args:
        images: uint8 of shape (n, channels, height, width).
        columns: Images in a row; None makes a square.

    Returns:
        One image, uint8 of shape (channels, height, width), white between and after the images.
    """
    number, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(number))
    rows = -(-number // columns)
    sheet = torch.full(
        (channels, rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP), 255, dtype=torch.uint8
    )
    for index, image in enumerate(images.cpu()):
        top, left = (index // columns) * (height + _GAP), (index % columns) * (width + _GAP)
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def between(latents: Tensor, steps: int) -> Tensor:
    """Interpolate from each latent to the next one, spherically (Shoemake, 1985; White, 2016).

    Args:
        latents: Of shape (n, ...), at least two.
        steps: Latents from one to the next, both included.

    Returns:
        Latents of shape ((n - 1) * steps, ...).
    """
    points = [
        interpolate(a[None], b[None], step / max(steps - 1, 1), "slerp")
        for a, b in itertools.pairwise(latents)
        for step in range(steps)
    ]
    return torch.cat(points)


def beside(samples: Tensor, nearest: Sequence[Sequence[np.ndarray]]) -> Tensor:
    """Make a row for each sample: the sample, then its nearest images.

    Args:
        samples: uint8 of shape (n, channels, height, width).
        nearest: The images of each sample, uint8 of shape (h, w, 3); other sizes are scaled to that of the samples.

    Returns:
        One image, as `grid` gives it, in colour.
    """
    height, width = samples.shape[-2:]
    rows = []
    for sample, images in zip(in_colour(samples.cpu()), nearest, strict=True):
        rows.append(sample)
        for image in images:
            fitting = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
            rows.append(torch.from_numpy(np.array(fitting)).permute(2, 0, 1))
    return grid(torch.stack(rows), 1 + len(nearest[0]))


def in_colour(images: Tensor) -> Tensor:
    """Return three channels: grey is repeated, alpha is dropped."""
    channels = images.shape[1]
    return images[:, :1].repeat(1, 3, 1, 1) if channels < 3 else images[:, :3]


def columns_of(labels: Tensor | None) -> int | None:
    """Return the number of columns that gives each class its own column, where labels repeat in turn.

    Args:
        labels: Of the images in their order, int64 of shape (n,).

    Returns:
        None for images without labels, of one class, in another order, or with only one image a class.
    """
    if labels is None or not len(labels):
        return None
    period = len(set(labels.tolist()))
    in_turn = torch.equal(labels, labels[:period].repeat(-(-len(labels) // period))[: len(labels)])
    return period if in_turn and 1 < period < len(labels) else None


def as_pil(image: Tensor) -> Image.Image:
    """Convert an image, uint8 of shape (channels, height, width), to Pillow's; one channel becomes grey."""
    array = image.permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def png(image: Tensor) -> bytes:
    """Encode an image, uint8 of shape (channels, height, width), as PNG."""
    buffer = io.BytesIO()
    as_pil(image).save(buffer, format="PNG")
    return buffer.getvalue()


def save_png(image: Tensor, path: Path) -> None:
    """Write an image, uint8 of shape (channels, height, width), atomically."""
    content = png(image)
    path.parent.mkdir(exist_ok=True)
    retrying(lambda: write_atomic(path, content), f"write {path}")
