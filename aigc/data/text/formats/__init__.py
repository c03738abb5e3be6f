"""Formats of text files, one a module; a new module with a `FORMAT` is a new format, and nothing else changes."""

from pathlib import Path

from aigc.data.formats import find_formats
from aigc.data.text.formats.base import TextFormat


def formats() -> dict[str, TextFormat]:
    """The formats by the suffixes of their files."""
    return {suffix: one for one in find_formats(__name__, TextFormat) for suffix in one.suffixes}


def format_of(path: Path) -> TextFormat | None:
    """The format of a file by its name; None if there is none."""
    return formats().get(path.suffix.lower())


def suffixes() -> str:
    """The suffixes of all formats, for messages."""
    return ", ".join(formats())
