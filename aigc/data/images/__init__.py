"""Images: sets of images in any format, decoding, and the data module.

Sets and decoding need no torch; what needs it is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aigc.data.images.base import ImageArray, Images
from aigc.data.images.reading import decoded, readable
from aigc.data.images.sources import open_images

if TYPE_CHECKING:
    from aigc.data.images.batches import to_float
    from aigc.data.images.data import ImageData

__all__ = ["ImageArray", "ImageData", "Images", "decoded", "open_images", "readable", "to_float"]
_MODULES = {"ImageData": "data", "to_float": "batches"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
