"""Fitting images: cut to a square, scaled, in colour or grey."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aigc.data.hints import check_choice
from aigc.data.images.base import ImageArray
from aigc.data.images.reading import OnBad
from aigc.errors import InputError

Channels = Literal[1, 3]
Crop = Literal["center", "none"]
MOST_RESOLUTION = 4096
"""Height and width beyond which a set would fill memory and disk before a network refuses it."""


@dataclass(frozen=True)
class ImageRecipe:
    """All that decides what is prepared, but the images.

    Raises:
        InputError: A value is out of its range.
    """

    resolution: int | None = None
    """Height and width in pixels; None keeps them."""

    channels: Channels = 3
    crop: Crop = "center"
    on_bad: OnBad = "fail"

    def __post_init__(self) -> None:
        """Check every value."""
        if self.resolution is not None and not 1 <= self.resolution <= MOST_RESOLUTION:
            allowed = f"at least 1 and at most {MOST_RESOLUTION}, or null"
            raise InputError(f"data.resolution is {self.resolution}; allowed: {allowed}.")
        if self.channels not in get_args(Channels):
            raise InputError(f"data.channels is {self.channels}; allowed: 1 (grey) or 3 (colour).")
        check_choice("data.crop", self.crop, get_args(Crop))
        check_choice("data.on_bad", self.on_bad, get_args(OnBad))


def changes(height: int, width: int, recipe: ImageRecipe) -> list[str]:
    """Return what `fit` does to an image of this size: `cropped` or `squeezed` to a square, and `scaled`."""
    done = []
    if height != width:
        done = ["cropped"] if recipe.crop == "center" else ["squeezed"] if recipe.resolution else []
    side = min(height, width) if recipe.crop == "center" else max(height, width)
    return [*done, "scaled"] if recipe.resolution not in (None, side) else done


def fit(array: ImageArray, recipe: ImageRecipe) -> NDArray[np.uint8]:
    """Cut, scale and colour an image as the recipe says.

    Scaling is Pillow's Lanczos filter, which widens when it makes smaller and so does not alias. Grey is ITU-R 601-2
    luma.

    Args:
        array: uint8 of shape (height, width, 3).
        recipe: With `crop="center"` the largest square in the middle is taken, with `none` the whole image, which
            scaling squeezes if it is not a square.

    Returns:
        uint8 of shape (channels, height, width), contiguous.
    """
    if recipe.crop == "center":
        height, width, _ = array.shape
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        array = array[top : top + side, left : left + side]
    image = Image.fromarray(array)
    if recipe.resolution:
        image = image.resize((recipe.resolution, recipe.resolution), Image.Resampling.LANCZOS)
    if recipe.channels == 1:
        return np.array(image.convert("L"))[None]
    return np.ascontiguousarray(np.moveaxis(np.asarray(image), 2, 0))
