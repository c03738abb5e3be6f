"""Finding a person's files below a folder, through links, without opening any."""

import os
from collections.abc import Callable
from pathlib import Path

from aigc.errors import InputError
from aigc.files.names import Found, ending, is_hidden


def search(folder: Path, counts: Callable[[str], bool]) -> Found:
    """Sort out the files below a folder, at any depth.

    Links are followed, also out of the folder, as the cache of the Hugging Face Hub is made of such. No folder is
    entered twice, and a link to a folder below or above this one is not followed. A link to nothing counts by its name;
    reading it fails.

    Args:
        folder: A folder that a person has named.
        counts: Whether a file counts by its path inside the folder, with `/` between folders.

    Raises:
        InputError: A folder cannot be listed.
    """
    found = Found()
    root = os.path.realpath(folder)
    entered: set[str] = set()
    pending = [("", root)]
    while pending:
        inside, real = pending.pop()
        if real in entered:
            continue
        entered.add(real)
        for entry in _listed(folder / inside):
            path = inside + entry.name
            link = Path(entry.path) if entry.is_symlink() else None
            if link.is_dir() if link else entry.is_dir():
                goal = os.path.realpath(entry.path) if link else f"{real.rstrip('/')}/{entry.name}"
                if not (link and _overlap(goal, root)):
                    pending.append((f"{path}/", goal))
            elif not counts(path):
                found.left_out[ending(path)] += 1
            elif (link.is_file() or not link.exists()) if link else entry.is_file():
                found.files.append(path)
            else:
                found.special.append(path)
    return found


def _overlap(one: str, other: str) -> bool:
    """Whether one of two folders lies in the other."""
    return Path(one).is_relative_to(other) or Path(other).is_relative_to(one)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder that are not hidden; those to be entered first stand last."""
    try:
        with os.scandir(folder) as entries:
            return sorted((one for one in entries if not is_hidden(one.name)), key=lambda one: one.name, reverse=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}.") from error
