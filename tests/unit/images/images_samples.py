"""Images that the tests make."""

import io

import numpy as np
from PIL import Image

from aigc.tasks import Task


class Validates(Task):
    """A task that validates."""

    def validation_step(self, batch: object, batch_index: int) -> None:
        """Do nothing with a batch."""


def pixels(seed: int, height: int = 5, width: int = 7, channels: int = 3) -> np.ndarray:
    """Noise, uint8 of shape (height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def packed(image: Image.Image | np.ndarray, kind: str = "PNG", **settings: object) -> bytes:
    """An image as the bytes of a file."""
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, format=kind, **settings)
    return buffer.getvalue()
