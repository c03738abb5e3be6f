"""Images looked at from other positions; beyond its edges an image goes on as its mirror image.

By indexing, as the derivatives of `grid_sample` and of reflection padding have no deterministic form on a GPU. On a CPU
it is as fast.
"""

import torch
from torch import Tensor


def positions(matrices: Tensor, height: int, width: int, finer: int = 1) -> tuple[Tensor, Tensor]:
    """Where the pixels of a result lie in images.

    Args:
        matrices: Of `affine`, in pixels of the result, (n, 3, 3).
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
    """The pixels that are nearest to positions.

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
    """Linear interpolation between the four pixels about positions; shapes as of `nearest`."""
    height, width = images.shape[2:]
    rows, columns = _mirrored(rows, height), _mirrored(columns, width)
    top, left = rows.floor(), columns.floor()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    across = (columns - left).unsqueeze(1)
    upper = _pixels(images, top, left).lerp(_pixels(images, top, right), across)
    lower = _pixels(images, bottom, left).lerp(_pixels(images, bottom, right), across)
    return upper.lerp(lower, (rows - top).unsqueeze(1))


def _mirrored(where: Tensor, size: int) -> Tensor:
    """Positions brought between the centres of the first and the last pixel, by mirrors at the outer edges of both."""
    along = (where + 0.5) / size
    return (size * (along - 2 * (along / 2).round()).abs() - 0.5).clamp(0, size - 1)


def _pixels(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels at whole positions inside the images."""
    index = (rows * images.shape[3] + columns).long()
    found = images.flatten(2).gather(2, index.flatten(1).unsqueeze(1).expand(-1, images.shape[1], -1))
    return found.view(*images.shape[:2], *index.shape[1:])
