"""Formats of image sets, one a module; a new module with a `FORMAT` is a new format, and nothing else changes."""

from aigc import assets
from aigc.data.formats import find_formats
from aigc.data.images.formats.base import ImageFormat, OpenSettings

__all__ = ["ImageFormat", "OpenSettings", "described", "formats", "prefixes"]


def formats() -> tuple[ImageFormat, ...]:
    """Return all formats, by the names of their modules."""
    return find_formats(__name__, ImageFormat)


def prefixes() -> tuple[str, ...]:
    """Return what the names of sets begin with that are not paths."""
    return tuple(dict.fromkeys([assets.PREFIX, *(one.prefix for one in formats() if one.prefix)]))


def described() -> str:
    """Describe what can be opened, for messages."""
    return ", ".join(one.shown for one in formats())
