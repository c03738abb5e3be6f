"""Mean and covariance from sums that can be added up, over batches and over ranks."""

import torch
from torch import Tensor

from aigc.errors import InputError
from aigc.metrics.image.inputs import in_float64, where_float64_is

_COLUMNS = 256


def sums(features: Tensor) -> tuple[int, Tensor, Tensor]:
    """Return the number of images, the sum of their features, and the sum of the features' outer products.

    Those of several sets add up to those of all. The features are not checked for NaN.

    Args:
        features: Floating, of shape (n, dimensions); n may be 0.

    Returns:
        n; float64 of shape (dimensions,); float64 of shape (dimensions, dimensions), exactly symmetric.

    Raises:
        ValueError: The shape is another one.
    """
    if features.ndim != 2:
        raise ValueError(f"features must have the shape (images, dimensions), got {tuple(features.shape)}")
    features = where_float64_is(features.detach())
    size = features.shape[1]
    total = torch.zeros(size, dtype=torch.float64, device=features.device)
    outer = torch.zeros(size, size, dtype=torch.float64, device=features.device)
    for rows in in_float64(features):
        total += rows.sum(dim=0)
        add_outer(outer, rows)
    return len(features), total, mirror(outer)


def add_outer(outer: Tensor, rows: Tensor) -> None:
    """Add the outer products of rows, float64 of shape (n, dimensions), to the upper triangle of a matrix.

    It is done in blocks of columns; what lies below those on the diagonal is left out, nearly half of the work.
    """
    for start in range(0, rows.shape[1], _COLUMNS):
        block = slice(start, start + _COLUMNS)
        outer[block, start:].addmm_(rows[:, block].T, rows[:, start:])


def mirror(outer: Tensor) -> Tensor:
    """Write the upper triangle of a square matrix into the lower one, in place."""
    return outer.triu_().add_(outer.triu(1).T)


def mean_and_covariance(count: int, total: Tensor, outer: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and covariance (divisor count - 1, as NumPy's) in float64; the covariance is exactly symmetric.

    Args:
        count: Number of images.
        total: Sum of their features, float64 of shape (dimensions,).
        outer: Sum of their outer products, float64 of shape (dimensions, dimensions).

    Raises:
        InputError: There are fewer than two images.
    """
    if count < 2:
        raise InputError(f"a covariance needs at least two images, got {count}")
    mean = total / count
    return mean, torch.outer(mean, mean).mul_(-count).add_(outer).div_(count - 1)
