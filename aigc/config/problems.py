"""Problems of a config, with what is needed to fix them: key, origin, value, allowed values, nearest name."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aigc.errors import InputError
from aigc.printing import plural, shortened

_LONGEST = 200
"""Longer names are no slip of the finger, and comparing them takes seconds."""


@dataclass(frozen=True)
class Problem:
    """One problem: the full key (`trainer.max_steps`), what is wrong, and where the key was set (`file:line`)."""

    key: str
    what: str
    origin: str = ""

    def __str__(self) -> str:
        where = f" ({shortened(self.origin)})" if self.origin else ""
        return f"{shortened(self.key)}{where}: {self.what}" if self.key else f"{self.what}{where}"


class ConfigError(InputError):
    """An error with all problems of one config."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = list(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"config: {plural(len(self.problems), 'error')}\n{lines}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was most likely meant, or None."""
    return next(iter(similar(name, known)), None)


def similar(name: str, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return the known names that may have been meant, the most likely first."""
    names = list(known)
    same = [one for one in names if one.casefold() == name.casefold()]
    begun = [one for one in names if len(name) > 2 and one.casefold().startswith(name.casefold())]
    close = [] if len(name) > _LONGEST else difflib.get_close_matches(name, names, n=most, cutoff=cutoff)
    return same or close or begun


def choices(name: object, allowed: Iterable[str]) -> str:
    """Return `Did you mean b? Allowed: a, b, c.` for a value that is not allowed."""
    names = list(allowed)
    near = nearest(str(name), names)
    return (f"Did you mean {near}? " if near else "") + f"Allowed: {', '.join(names)}."


def suggest(name: str, known: Iterable[str], prefix: str = "", most: int = 16) -> str:
    """Return `did you mean X?` when a known name is near, else the list of known names."""
    names = sorted(known)
    near = nearest(name, names)
    if near:
        return f"did you mean {prefix}{near}?"
    if not names:
        return "none is allowed here"
    shown = ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
    return f"allowed: {shown}"
