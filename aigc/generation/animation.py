"""Animations of images."""

import io
from collections.abc import Sequence

from torch import Tensor

from aigc.generation.grids import as_pil

FRAMES_PER_SECOND = 25


def webp(frames: Sequence[Tensor], frames_per_second: int = FRAMES_PER_SECOND) -> bytes:
    """Encode a lossless animated WebP that loops.

    The format joins equal consecutive frames into one that is shown longer.

    Args:
        frames: uint8 of shape (channels, height, width) each, at least two.
        frames_per_second: Speed.
    """
    first, *others = [as_pil(frame).convert("RGB") for frame in frames]
    buffer = io.BytesIO()
    milliseconds = round(1000 / frames_per_second)
    first.save(
        buffer, "WEBP", save_all=True, append_images=others, duration=milliseconds, loop=0, lossless=True, quality=100
    )
    return buffer.getvalue()
