"""Changes that move pixels: affine transforms of the plane, sampling, and the two groups of changes made of them.

A position is (column, row, 1), in pixels from the centre of the image. A matrix, of shape (3, 3) for each image, maps a
position in the result to the position in the image that is shown there.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from aigc.augmentation.draws import angle, choose, lognormal, normal, sometimes, uniform, whole
from aigc.augmentation.frequency import amplify, frequencies

FINER = 2
"""How many times as high and wide images are made before they are sampled linearly."""


def blit(images: Tensor, probability: Tensor) -> Tensor:
    """Mirror left and right, turn by quarters, and move by up to 1/8: each with a probability (Karras et al., 2020).

    Each choice is drawn evenly from all there are, no change among them. What comes in at an edge is the mirror image.
    Images that are not square are turned by half turns.

    Args:
        images: Floating, (n, channels, height, width).
        probability: A scalar.
    """
    height, width = images.shape[2:]
    flip = sometimes(1 - 2 * whole(images, count=2), probability, 1)
    turns = whole(images, count=4) if height == width else 2 * whole(images, count=2)
    quarters = sometimes(turns, probability, 0)
    x, y = sometimes(uniform(images, 2, low=-0.125, high=0.125), probability, 0).unbind(1)
    matrices = compose(
        scaling(flip, torch.ones_like(flip)),
        rotation(quarters * (math.pi / 2)).round(),
        translation((x * width).round(), (y * height).round()),
    )
    return move(images, matrices)


def move(images: Tensor, matrices: Tensor) -> Tensor:
    """Move whole pixels by matrices that map pixels onto pixels; values stay bit-identical."""
    return nearest(images, *positions(matrices, *images.shape[2:]))


def geometry(images: Tensor, probability: Tensor) -> Tensor:
    """Scale, rotate, scale along one direction, and move: each with a probability (Karras et al., 2020).

    The logarithm to the base 2 of both scales deviates by 0.2, angles are any, and the move deviates by 1/8 of the
    image. What comes in at an edge is the mirror image. An unchanged image stays bit-identical.

    Args:
        images: Floating, (n, channels, height, width).
        probability: A scalar.
    """
    height, width = images.shape[2:]
    either = 1 - (1 - probability).sqrt()  # rotated before or after the scaling along one direction: `probability`
    scale = sometimes(lognormal(images, deviation=0.2), probability, 1)
    first, second = (sometimes(angle(images), either, 0) for _ in range(2))
    stretch = sometimes(lognormal(images, deviation=0.2), probability, 1)
    x, y = sometimes(normal(images, 2, deviation=0.125), probability, 0).unbind(1)
    matrices = compose(  # each is drawn as likely as its inverse
        scaling(scale, scale),
        rotation(first),
        scaling(stretch, 1 / stretch),
        rotation(second),
        translation(x * width, y * height),
    )
    return choose(changes(matrices), warp(images, matrices), images)


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Resample images by affine matrices.

    They are first interpolated to twice their size by their cosine waves, and then linearly. The average loss of linear
    interpolation is compensated beforehand. Waves too fine for the pixels of the result are removed, as they would
    alias; around that limit gains fall along half a cosine. Where an image shrinks
    in one direction alone, it loses its fine waves in the other, too.

    Args:
        images: (n, channels, height, width).
        matrices: (n, 3, 3).
    """
    height, width = images.shape[2:]
    limit = math.pi / _largest_step(matrices).clamp(min=1).unsqueeze(1)
    down, across = (_gains(frequencies(size, images), limit) for size in (height, width))
    return bilinear(amplify(images, down, across, FINER), *positions(matrices, height, width, FINER))


def _largest_step(matrices: Tensor) -> Tensor:
    """Return the largest distance in the image of neighbours in the result, (n,): the largest singular value."""
    (a, b), (c, d) = (matrices[:, row, :2].unbind(1) for row in (0, 1))
    squares, area = a * a + b * b + c * c + d * d, a * d - b * c
    return ((squares + (squares.square() - 4 * area.square()).clamp(min=0).sqrt()) / 2).sqrt()


def _gains(frequencies: Tensor, limit: Tensor) -> Tensor:
    """Return gains of waves, (n, m), compensated: 1 below 3/4 of the limit, 1/2 at it, 0 above 5/4."""
    fall = 0.5 + 0.5 * torch.cos(((frequencies / limit - 0.75) * 2).clamp(0, 1) * math.pi)
    return fall / torch.sinc(frequencies / (2 * math.pi * FINER)).square()


def scaling(columns: Tensor, rows: Tensor) -> Tensor:
    """Multiply positions by two factors, (n,) each."""
    return _matrices([[columns, 0, 0], [0, rows, 0], [0, 0, 1]], columns)


def rotation(angle: Tensor) -> Tensor:
    """Turn positions from the column axis towards the row axis, by (n,) radians: the image turns anticlockwise."""
    cos, sin = angle.cos(), angle.sin()
    return _matrices([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], angle)


def translation(columns: Tensor, rows: Tensor) -> Tensor:
    """Move positions by columns and rows, (n,) each."""
    return _matrices([[1, 0, columns], [0, 1, rows], [0, 0, 1]], columns)


def compose(*matrices: Tensor) -> Tensor:
    """Multiply matrices of shape (n, 3, 3); not by `@`, which TF32 would round to three digits."""
    product = matrices[0]
    for matrix in matrices[1:]:
        product = (product.unsqueeze(3) * matrix.unsqueeze(1)).sum(2)
    return product


def changes(matrices: Tensor) -> Tensor:
    """Return which are not the identity, (n,) of bool; products of identities are exact."""
    identity = torch.eye(3, dtype=matrices.dtype, device=matrices.device)
    return (matrices != identity).flatten(1).any(1)


def _matrices(rows: Sequence[Sequence[Tensor | float]], like: Tensor) -> Tensor:
    entries = [entry if isinstance(entry, Tensor) else torch.full_like(like, entry) for row in rows for entry in row]
    return torch.stack(entries, 1).view(-1, 3, 3)


def positions(matrices: Tensor, height: int, width: int, finer: int = 1) -> tuple[Tensor, Tensor]:
    """Return the positions of the pixels of a result in images.

    Args:
        matrices: Affine, in pixels of the result, (n, 3, 3).
        height: Of the result.
        width: Likewise.
        finer: How many times as high and wide the images are.

    Returns:
        Rows and columns in the images, of shape (n, height, width) each; 0 is the centre of the first pixel.
    """
    y = torch.arange(height, dtype=matrices.dtype, device=matrices.device).unsqueeze(1) - (height - 1) / 2
    x = torch.arange(width, dtype=matrices.dtype, device=matrices.device) - (width - 1) / 2
    (a, b, c), (d, e, f) = ((finer * matrices[:, row, :, None, None]).unbind(1) for row in (0, 1))
    rows = d * x + (e * y + (f + (finer * height - 1) / 2))
    return rows, a * x + (b * y + (c + (finer * width - 1) / 2))


def nearest(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the pixels nearest to positions.

    Args:
        images: (n, channels, height, width).
        rows: From 0, the centre of the first row; (n, ...).
        columns: Likewise; both broadcast.

    Returns:
        (n, channels, ...).
    """
    height, width = images.shape[2:]
    return _pixels(images, _mirrored(rows, height).round(), _mirrored(columns, width).round())


def bilinear(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Interpolate linearly between the four pixels around positions; shapes as for `nearest`."""
    height, width = images.shape[2:]
    rows, columns = _mirrored(rows, height), _mirrored(columns, width)
    top, left = rows.floor(), columns.floor()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    across = (columns - left).unsqueeze(1)
    upper = _pixels(images, top, left).lerp(_pixels(images, top, right), across)
    lower = _pixels(images, bottom, left).lerp(_pixels(images, bottom, right), across)
    return upper.lerp(lower, (rows - top).unsqueeze(1))


def _mirrored(where: Tensor, size: int) -> Tensor:
    """Mirror positions at the outer edges of the image into the range of pixel centres."""
    along = (where + 0.5) / size
    return (size * (along - 2 * (along / 2).round()).abs() - 0.5).clamp(0, size - 1)


def _pixels(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the pixels at whole positions inside the images."""
    # Not `grid_sample` or reflection padding: their derivatives have no deterministic form on a GPU.
    index = (rows * images.shape[3] + columns).long()
    found = images.flatten(2).gather(2, index.flatten(1).unsqueeze(1).expand(-1, images.shape[1], -1))
    return found.view(*images.shape[:2], *index.shape[1:])
