"""Callbacks that generate, measure, and save samples; imported when they are asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigc.evaluation.image_generation import ImageGeneration
    from aigc.evaluation.text_generation import TextGeneration

__all__ = ["ImageGeneration", "TextGeneration"]
_MODULES = {"ImageGeneration": "image_generation", "TextGeneration": "text_generation"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
