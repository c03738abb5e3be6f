"""Formats of image sets, one a module; a new module with a `FORMAT` is a new format, and nothing else changes."""

from aigc import assets
from aigc.data.formats import find_formats
from aigc.data.images.formats.base import ImageFormat, OpenSettings

__all__ = ["ImageFormat", "OpenSettings", "described", "formats", "prefixes"]


def formats() -> tuple[ImageFormat, ...]:
    """All formats, by the names of their modules."""
    return find_formats(__name__, ImageFormat)


def prefixes() -> tuple[str, ...]:
    """What the name of a set begins with that is no path."""
    return tuple(dict.fromkeys([assets.PREFIX, *(one.prefix for one in formats() if one.prefix)]))


def described() -> str:
    """What can be opened, for messages."""
    return ", ".join(one.shown for one in formats())
