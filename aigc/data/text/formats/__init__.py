"""Formats of text files, one a module; a new module with a `FORMAT` is a new format, and nothing else changes."""

from pathlib import Path

from aigc.data.formats import find_formats
from aigc.data.text.formats.base import TextFormat
from aigc.errors import InputError
from aigc.files.text import PACKED


def formats() -> dict[str, TextFormat]:
    """The formats by the suffixes of their files."""
    return {suffix: one for one in find_formats(__name__, TextFormat) for suffix in one.suffixes}


def suffix_of(path: Path) -> str:
    """The suffix of a file's name in lower case, with the one before .gz: `.csv.gz`."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() + suffix if suffix == PACKED else suffix


def format_of(path: Path) -> TextFormat | None:
    """The format of a file by its name, which may end in .gz besides; None if there is none."""
    return formats().get(suffix_of(path).removesuffix(PACKED))


def reader_of(path: Path, also: str = "") -> TextFormat:
    """The format of a file by its name.

    Args:
        path: The file.
        also: What else is allowed, for the message.

    Raises:
        InputError: No format has files of such names.
    """
    found = format_of(path)
    if found is None:
        suffix = suffix_of(path) or "a file without an ending"
        raise InputError(f"{path}: no reader for '{suffix}'; allowed: {suffixes()}{also}.")
    return found


def suffixes() -> str:
    """The suffixes of all formats, for messages."""
    return f"{', '.join(formats())} ({PACKED} may follow)"
