"""Optimisers and schedules of our own, and what goes into them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigc.optim.schedules import WarmupCosine

__all__ = ["WarmupCosine"]
_MODULES = {"WarmupCosine": "schedules"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
