"""Images in one array, of a file or prepared."""

import hashlib
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aigc.data.images.base import ImageArray, Images, Labels
from aigc.data.images.decode import Alpha, flattened
from aigc.data.progress import log_once
from aigc.errors import InputError
from aigc.printing import plural

_CHANNELS = (1, 3, 4)
_FORM = (
    "uint8 of shape (n, height, width, channels), (n, channels, height, width) or (n, height, width), "
    "with 1, 3 or 4 channels"
)
Headers = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]
"""Shape and type of each array of a file, by its name."""

_IMAGES = ("images", "arr_0", "x")
_LABELS = ("labels", "y", "arr_1")

_log = logging.getLogger("aigc")


class ArrayImages(Images):
    """Images of one size in an array.

    Args:
        name: The name of the set in messages.
        array: uint8 of shape (n, height, width), (n, height, width, channels) or (n, channels, height, width), with 1
            (grey), 3 (RGB) or 4 channels (RGB and alpha). Channels are the last axis wherever they can be.
        labels: Whole numbers of any values, shape (n,); None where there are none.
        classes: The names of the classes, where the labels are numbers of these; None names them after the labels.
        alpha: How transparency is treated.
        name_of: Where an image is, for messages; None shows its number.

    Raises:
        InputError: The array is of another kind or shape.
    """

    def __init__(
        self,
        name: str,
        array: NDArray[Any],
        labels: NDArray[Any] | None = None,
        classes: tuple[str, ...] | None = None,
        alpha: Alpha = "drop",
        name_of: Callable[[int], str] | None = None,
    ) -> None:
        self.name = name
        self.alpha = alpha
        self.pixels = channels_last(name, array)
        self._name_of = name_of
        if labels is not None and classes is not None:
            self.labels, self.classes = labels.astype(np.int64), classes
        elif labels is not None:
            self.labels, self.classes = numbered(labels)

    def __len__(self) -> int:
        return len(self.pixels)

    def name_of(self, index: int) -> str:
        """Return the set's name and the image's number, from 0."""
        return self._name_of(index) if self._name_of else f"{self.name}[{index}]"

    def read(self, index: int) -> ImageArray:
        """Copy an image; grey is repeated."""
        pixels = self.pixels[index]
        if pixels.shape[2] == 1:
            return np.repeat(pixels, 3, axis=2)
        if pixels.shape[2] == 3:
            return np.array(pixels, order="C", subok=False)
        return np.array(flattened(Image.fromarray(np.ascontiguousarray(pixels)), self.alpha))

    def _hash_all(self) -> list[str]:
        height, width, channels = self.pixels.shape[1:]
        ground = f" on {self.alpha}" if channels == 4 and self.alpha != "drop" else ""
        begin = hashlib.sha256(f"{height} {width} {channels}{ground}\n".encode())
        return [_hash(begin, pixels) for pixels in self.pixels]


def log_shape(name: str, array: NDArray[Any], pixels: NDArray[np.uint8]) -> None:
    """Log how an array was understood."""
    number, height, width, channels = pixels.shape
    shape = f"height {height}, width {width}, channels {channels}"
    log_once(f"{name}: {array.dtype} of shape {array.shape}: {plural(number, 'image')}, {shape}")


def channels_last(name: str, array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a view of shape (n, height, width, channels); the axes are found by their sizes.

    Raises:
        InputError: The array holds no images.
    """
    if array.dtype != np.uint8:
        floats = "; from floats: (x * 255).round().astype('uint8')" if array.dtype.kind == "f" else ""
        raise InputError(f"{name}: holds {array.dtype}; needed is {_FORM}{floats}.")
    view = array
    if array.ndim == 3 and array.shape[2] not in (3, 4):  # else it is one image, not many three pixels wide
        view = array[..., None]
    elif array.ndim == 4 and array.shape[3] not in _CHANNELS and array.shape[1] in _CHANNELS:
        view = np.moveaxis(array, 1, 3)
    if view.ndim != 4 or view.shape[3] not in _CHANNELS or not array.size:
        raise InputError(f"{name}: an array of shape {array.shape}; needed is {_FORM}.")
    return view


def images_key(name: str, arrays: Headers) -> str:
    """Find the array that holds the images.

    Raises:
        InputError: None does, or it is not clear which.
    """
    four = [key for key, (shape, _) in arrays.items() if len(shape) == 4]
    named = [key for key in _IMAGES if key in arrays]
    if named or len(four) == 1:
        return (named or four)[0]
    if {"mu", "sigma"} <= set(arrays):
        raise InputError(f"{name}: a file of statistics (mu and sigma), not of images; give the images themselves.")
    listed = ", ".join(f"{key} {dtype} {shape}" for key, (shape, dtype) in arrays.items()) or "nothing"
    raise InputError(f"{name}: holds {listed}; needed is {_FORM}, named {', '.join(_IMAGES)}, or no other of 4 axes.")


def labels_key(name: str, arrays: Headers, number: int) -> str | None:
    """Find the array that holds the labels of the images; one that cannot hold labels is logged and left out."""
    key = next((key for key in _LABELS if key in arrays), None)
    if key is None:
        return None
    shape, dtype = arrays[key]
    if dtype.kind in "iu" and shape in ((number,), (number, 1)):
        return key
    what = "%s: '%s' does not have a label for each image but is %s of shape %s, and is left out"
    _log.warning(what, name, key, dtype, shape)
    return None


def numbered(labels: NDArray[Any]) -> tuple[Labels, tuple[str, ...]]:
    """Return labels from 0 on, without gaps, and the original ones as names."""
    values, numbers = np.unique(labels.reshape(-1), return_inverse=True)
    return numbers.astype(np.int64), tuple(str(value) for value in values.tolist())


def _hash(begin: Any, pixels: NDArray[np.uint8]) -> str:
    total = begin.copy()
    total.update(np.ascontiguousarray(pixels))
    return str(total.hexdigest())
