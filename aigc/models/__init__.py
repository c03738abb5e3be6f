"""Networks: those this project owns, and a factory for Transformers' language models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aigc.models.base import ModelFactory

if TYPE_CHECKING:
    from aigc.models.language import TransformersCausalLM, TransformersModel

__all__ = ["ModelFactory", "TransformersCausalLM", "TransformersModel"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.language"), name)  # Transformers takes seconds to import
