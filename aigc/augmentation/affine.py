"""Affine transforms of the plane as 3 x 3 matrices, one for each image.

Positions are (column, row, 1), in pixels from the centre of the image. Matrices map a position in the result to the
one in the image that it shows.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


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
    """The product of matrices of shape (n, 3, 3); not by a matrix product, which TF32 would round to three digits."""
    product = matrices[0]
    for matrix in matrices[1:]:
        product = (product.unsqueeze(3) * matrix.unsqueeze(1)).sum(2)
    return product


def changes(matrices: Tensor) -> Tensor:
    """Which are not the identity, (n,) of bool; products of identities are, to the last bit."""
    identity = torch.eye(3, dtype=matrices.dtype, device=matrices.device)
    return (matrices != identity).flatten(1).any(1)


def _matrices(rows: Sequence[Sequence[Tensor | float]], like: Tensor) -> Tensor:
    entries = [entry if isinstance(entry, Tensor) else torch.full_like(like, entry) for row in rows for entry in row]
    return torch.stack(entries, 1).view(-1, 3, 3)
