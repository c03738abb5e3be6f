"""Conversion between images as floats from -1 to 1 and as bytes from 0 to 255."""

import torch
from torch import Tensor

from aigc.errors import InputError
from aigc.printing import plural


def quantise(images: Tensor) -> Tensor:
    """Round to the nearest of 256 levels: (x + 1) 127.5, as a file with 8 bits would hold the image.

    It is computed in float32 whatever the dtype: bfloat16 keeps every level apart, but (x + 1) 127.5 in bfloat16
    does not. What lies outside -1 to 1 is cut off, infinities too.

    Args:
        images: Floats from -1 to 1, any floating dtype and any shape; the first dimension counts images.

    Returns:
        uint8 from 0 to 255, of the same shape and on the same device.

    Raises:
        InputError: The images are not floating-point, or one holds NaN.
    """
    if not images.is_floating_point():
        raise InputError(f"quantise takes floats from -1 to 1, not {images.dtype}; bytes need no quantising.")
    values = images.float()
    if values.isnan().any():
        raise InputError(_which_are_nan(values))
    return ((values + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8)


def dequantise(images: Tensor) -> Tensor:
    """Invert `quantise`: u / 127.5 - 1 as float32 from -1 to 1; `quantise` returns exactly the same bytes.

    Args:
        images: uint8 from 0 to 255, any shape.

    Raises:
        InputError: The images are not uint8.
    """
    if images.dtype != torch.uint8:
        raise InputError(f"dequantise takes uint8 from 0 to 255, not {images.dtype}.")
    return images.float() / 127.5 - 1


def _which_are_nan(values: Tensor) -> str:
    rows = values.isnan().reshape(len(values) if values.ndim else 1, -1).any(1).nonzero()[:, 0].tolist()
    first = ", ".join(map(str, rows[:5])) + (" ..." if len(rows) > 5 else "")
    what = f"image {first} holds" if len(rows) == 1 else f"{plural(len(rows), 'image')} ({first}) hold"
    return f"{what} NaN, counted from 0 in a batch of {len(values) if values.ndim else 1}: the model has diverged."
