"""Hints for messages: the nearest name that exists."""

from collections.abc import Iterable
from pathlib import Path

from aigc.config.problems import choices, nearest
from aigc.errors import InputError


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` with the nearest known name, or nothing if none is near."""
    near = nearest(name, known)
    return f" Did you mean '{near}'?" if near else ""


def near(path: Path) -> str:
    """The same for a missing file, from the names in the folder where it should be."""
    folder = path.parent
    if not folder.is_dir():
        return f" The folder {folder} does not exist either."
    return did_you_mean(path.name, [other.name for other in folder.iterdir()])


def check_choice(name: str, value: str, allowed: Iterable[str]) -> None:
    """Check that a value is one of those that are allowed.

    Raises:
        InputError: It is not; the message names the nearest and all that are allowed.
    """
    known = list(allowed)
    if value not in known:
        raise InputError(f"{name} is {value!r}. {choices(value, known)}")
