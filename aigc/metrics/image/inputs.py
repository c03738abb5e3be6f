"""Checks of the input of measures: features as arrays or tensors, and statistics of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aigc.errors import InputError

Array = Tensor | npt.NDArray[Any]
ROWS = 1024
"""Rows that are held in float64 at a time."""


def as_features(given: Array, owner: str = "", what: str = "features") -> Tensor:
    """Check one row of numbers per image.

    Args:
        given: Floating, of shape (images, dimensions), on any device.
        owner: Whose they are ("real", "generated"), for messages.
        what: What they are, for messages.

    Returns:
        The same numbers without gradient, float32 or float64; half precision is widened.

    Raises:
        TypeError: They are not a floating-point array or tensor.
        ValueError: Their shape is another one.
        InputError: There are fewer than two images, or a number is NaN or infinite.
    """
    name = f"{owner}: {what}" if owner else what
    rows = _as_tensor(given, name)
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError(f"{name} must have the shape (images, dimensions), got {tuple(rows.shape)}")
    if len(rows) < 2:
        raise InputError(f"{name} of at least two images are needed, got {len(rows)}")
    if not bool(torch.isfinite(rows).all()):
        first = int((~torch.isfinite(rows)).any(dim=1).nonzero()[0, 0])
        raise InputError(f"{name} of image {first} are not finite: the image or the network is broken")
    return rows


def as_statistic(given: Array, name: str, axes: int) -> Tensor:
    """Check a mean or a covariance; returned in float64.

    Raises:
        TypeError: It is not a floating-point array or tensor.
        ValueError: It has another number of axes, or their lengths differ.
        InputError: A number in it is NaN or infinite.
    """
    values = _as_tensor(given, name).double()
    if values.ndim != axes or len(set(values.shape)) != 1 or not len(values):
        shape = "(dimensions,)" if axes == 1 else "(dimensions, dimensions)"
        raise ValueError(f"{name} must have the shape {shape}, got {tuple(values.shape)}")
    if not bool(torch.isfinite(values).all()):
        raise InputError(f"{name} holds numbers that are not finite: the images or the network are broken")
    return values


def in_float64(rows: Tensor) -> Iterator[Tensor]:
    """Yield parts of the rows in float64: a copy of all at once would be large."""
    for start in range(0, len(rows), ROWS):
        yield rows[start : start + ROWS].double()


def where_float64_is(given: Tensor) -> Tensor:
    """Return the tensor itself, or on a device that has no float64 (MPS) a copy on the processor."""
    return given.cpu() if given.device.type == "mps" else given


def _as_tensor(given: Array, name: str) -> Tensor:
    if isinstance(given, np.ndarray):
        # Tensors cannot share the memory of arrays that are read-only, strided backwards, or of another byte order.
        native = given.dtype.newbyteorder("=")
        given = torch.from_numpy(np.require(given, dtype=native, requirements=["C", "W"]))
    if not isinstance(given, Tensor):
        raise TypeError(f"{name} must be an array or a tensor, got a {type(given).__name__}")
    if not given.is_floating_point():
        raise TypeError(f"{name} must be floating numbers, got {given.dtype}")
    given = where_float64_is(given.detach())
    return given if given.dtype in (torch.float32, torch.float64) else given.float()
