"""From the bytes of an image file to pixels, through Pillow: one form for all modes, and one error for all damage."""

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import BinaryIO, Literal, get_args

import numpy as np
from PIL import Image, UnidentifiedImageError

from aigc.data.hints import check_choice
from aigc.data.images.base import ImageArray
from aigc.data.images.endings import formats
from aigc.data.progress import log_once
from aigc.errors import InputError
from aigc.files.kinds import HEAD, stand_in

Alpha = Literal["drop", "white", "black"]
"""How transparency is treated: it is ignored, or the image is laid on a background."""

MOST_PIXELS = 100_000_000
MOST_BYTES = 8 * MOST_PIXELS
"""No format takes more for as many pixels, but for four 16-bit channels with text beside them."""

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each value of EXIF's orientation."""

_metadata = threading.Lock()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # or what it logs of a damaged TIFF is printed


def decode(data: bytes | BinaryIO, name: str, alpha: Alpha = "drop") -> ImageArray:
    """Decode an image file.

    Palettes, grey, black and white, CMYK become RGB as by Pillow's `convert("RGB")`, which is what reference
    implementations of FID read; so does alpha when it is dropped. Unlike there, 16-bit grey is scaled and not clipped,
    and an image whose EXIF data say that it is rotated is put upright. Of an animation the first frame is taken.

    Args:
        data: The content of the file, or the file, opened for reading bytes.
        name: What the image is called in messages.
        alpha: How transparency is treated.

    Returns:
        uint8 of shape (height, width, 3); the caller owns the array.

    Raises:
        InputError: It is empty, no image, damaged, cut short, too large, or of a kind that has no fixed range.
    """
    check_choice("alpha", alpha, get_args(Alpha))
    content = data if isinstance(data, bytes) else data.read(MOST_BYTES + 1)
    if not content:
        raise InputError(f"{name}: the file is empty.")
    if len(content) > MOST_BYTES:
        raise InputError(f"{name}: more than {MOST_BYTES:,} bytes, which is too large for an image.")
    try:
        with _pillow_at_peace():
            image: Image.Image = Image.open(io.BytesIO(content), formats=formats())
        _check_pixels(image, name)
        with _pillow_at_peace() if image.format == "TIFF" else nullcontext():  # it reads metadata once more
            image.load()
        return np.array(flattened(_in_bytes(_upright(image), name), alpha))
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        if kind := stand_in(content[:HEAD]):
            raise InputError(f"{name}: {kind}") from error
        raise InputError(
            f"{name}: no image, or damaged in its first bytes; read are {', '.join(formats())}."
        ) from error
    except Exception as error:  # a damaged file makes Pillow's decoders raise whatever they stumble over
        raise InputError(f"{name}: damaged or cut short: {reason(error)}.") from error


def flattened(image: Image.Image, alpha: Alpha) -> Image.Image:
    """Convert an image of 8 bits to RGB, its transparency dropped or laid on a background."""
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    if alpha != "drop" and image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, alpha), image.convert("RGBA"))
    elif image.has_transparency_data:
        log_once(
            "alpha channels of images are ignored (data.alpha=drop); white or black lays such images on a background"
        )
    image.info.pop("transparency", None)  # Pillow warns that it drops it
    return image.convert("RGB")


def reason(error: Exception) -> str:
    """Return the message of a library's error, in one line and without its full stop."""
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


@contextmanager
def _pillow_at_peace() -> Iterator[None]:
    """Suppress warnings, and Pillow's limit, whose message does not say how large an image is.

    Both are switches of the whole process, so that one thread at a time goes through here, with a header only.
    """
    with _metadata, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_pixels(image: Image.Image, name: str) -> None:
    """Check the number of pixels: a file of a hundred bytes can state more than there is memory for."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise InputError(
            f"{name}: {width:,} x {height:,} pixels; at most {MOST_PIXELS:,} pixels are read. Scale it down."
        )


def _upright(image: Image.Image) -> Image.Image:
    """Turn an image as its metadata say; unreadable metadata say nothing."""
    orientation = 1
    with _pillow_at_peace(), suppress(Exception):
        orientation = image.getexif().get(_ORIENTATION, 1)
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _in_bytes(image: Image.Image, name: str) -> Image.Image:
    """Scale 16-bit grey to 8 bits, to the nearest; all other modes that have a range have 8 bits already."""
    sixteen_bits = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if sixteen_bits:
        grey = np.asarray(image).astype(np.uint32)
        bytes_ = Image.fromarray(((grey + 128) // 257).astype(np.uint8))
        if not isinstance(see_through := image.info.get("transparency"), int):
            return bytes_
        return Image.merge("LA", (bytes_, Image.fromarray(np.where(grey == see_through, 0, 255).astype(np.uint8))))
    if image.mode in ("I", "F"):
        kind = "32-bit whole numbers" if image.mode == "I" else "floating-point numbers"
        raise InputError(f"{name}: {kind}, which have no fixed range; save it with 8 or 16 bits.")
    return image
