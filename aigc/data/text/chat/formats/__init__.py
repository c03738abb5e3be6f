"""How rows hold conversations, one format a module; a new module with a `FORMAT` is a new format."""

from collections.abc import Collection

from aigc.config.problems import suggest
from aigc.data.formats import find_formats
from aigc.data.text.chat.formats.base import ChatFormat


def chat_formats() -> dict[str, ChatFormat]:
    """Return the formats by name, those first that ask for more columns."""
    found = find_formats(__name__, ChatFormat)
    return {one.name: one for one in sorted(found, key=lambda one: -len(one.columns))}


def chat_format(name: str) -> ChatFormat:
    """Return a format by name.

    Raises:
        ValueError: There is none of that name.
    """
    known = chat_formats()
    if name not in known:
        raise ValueError(f"no format of conversations is called {name!r}; {suggest(name, list(known))}")
    return known[name]


def recognised(columns: Collection[str]) -> ChatFormat | None:
    """Return the format that a table with these columns is in; None if it is in none."""
    return next((one for one in chat_formats().values() if set(one.columns) <= set(columns)), None)
