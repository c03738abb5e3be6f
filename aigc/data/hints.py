"""The half sentence that helps a person out of a typing error."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from aigc.config.problems import choices
from aigc.errors import InputError


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` with the nearest known name, or nothing when none is near."""
    near = get_close_matches(name, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def near(place: Path) -> str:
    """The same for a file that is not there, from the names in the folder where it should be."""
    folder = place.parent
    if not folder.is_dir():
        return f" The folder {folder} does not exist either."
    return did_you_mean(place.name, [path.name for path in folder.iterdir()])


def check_choice(name: str, value: str, allowed: Iterable[str]) -> None:
    """See that a value is one of those that are allowed.

    Raises:
        InputError: It is not; the message has the nearest and all of them.
    """
    known = list(allowed)
    if value not in known:
        raise InputError(f"{name} is {value!r}. {choices(value, known)}")
