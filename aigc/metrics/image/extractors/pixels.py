"""Common preprocessing of extractors: checks, three channels, resizing."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.errors import InputError
from aigc.printing import plural

_CHANNELS = {1: "grey", 2: "grey and alpha", 3: "RGB", 4: "RGBA"}


def as_rgb(images: Tensor) -> Tensor:
    """Convert 1 to 4 channels to three, as Pillow's `convert("RGB")`: grey is repeated, alpha is dropped.

    Args:
        images: uint8 (n, channels, height, width) from 0 to 255.

    Returns:
        uint8 (n, 3, height, width); a view where it can be one.

    Raises:
        InputError: Not uint8, not of this shape, another number of channels, or no pixel.
    """
    if type(images).__module__ == "numpy":
        raise InputError("an extractor takes a uint8 tensor, not a NumPy array: torch.from_numpy(images)")
    if images.dtype != torch.uint8:
        what = "Pass floats from -1 to 1 through aigc.metrics.image.quantise first."
        raise InputError(f"an extractor takes images as uint8 from 0 to 255, not {images.dtype}. {what}")
    if images.ndim != 4:
        what = "It must be (images, channels, height, width)."
        raise InputError(f"an extractor takes a batch of images, and the shape is {tuple(images.shape)}. {what}")
    channels, height, width = images.shape[1:]
    if channels not in _CHANNELS:
        allowed = ", ".join(f"{number} ({name})" for number, name in _CHANNELS.items())
        what = "Channels come first: images.permute(0, 3, 1, 2) for those of files." if width in _CHANNELS else ""
        raise InputError(f"images have {plural(channels, 'channel')}. Allowed: {allowed}. {what}".strip())
    if not height or not width:
        raise InputError(f"images of {height}x{width} have no pixel.")
    return images[:, :3] if channels >= 3 else images[:, :1].expand(-1, 3, -1, -1)


def resize(images: Tensor, height: int, width: int | None = None) -> Tensor:
    """Resize as Pillow's BICUBIC: antialiased when it shrinks, rows first, then columns, each clipped and rounded.

    Pillow itself takes the columns first since version 13 where an image is tall and shrinks.

    Args:
        images: uint8 (n, channels, any height, any width) from 0 to 255.
        height: Of the result.
        width: Of the result; the height by default.

    Returns:
        float32 (n, channels, height, width), whole numbers from 0 to 255; of Pillow's, a few differ by one.
    """
    width = height if width is None else width
    pixels = images.float()
    for size in ((images.shape[2], width), (height, width)):
        if pixels.shape[2:] != size:
            pixels = F.interpolate(pixels, size=size, mode="bicubic", antialias=True).clamp_(0, 255).round_()
    return pixels
