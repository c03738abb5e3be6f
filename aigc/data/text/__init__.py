"""Text: formats, splits, tokenizers, objectives, packing, and the data modules."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigc.data.text.data import TextData
    from aigc.data.text.streamed import StreamedText

__all__ = ["StreamedText", "TextData"]
_MODULES = {"StreamedText": "streamed", "TextData": "data"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
