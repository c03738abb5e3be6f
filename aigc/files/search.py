"""Finding a person's files below a folder, through links, without opening any."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from aigc.errors import InputError
from aigc.files.names import Found, ending, is_hidden


def search(folder: Path, counts: Callable[[str], bool]) -> Found:
    """Sort out the files below a folder, at any depth.

    Links are followed, also out of the folder, as the cache of the Hugging Face Hub is made of such. No folder is
    entered twice, and a link to a folder above this one, or to one below it that is not hidden, is not followed. A link
    to nothing counts by its name; reading it fails.

    Args:
        folder: A folder that a person has named.
        counts: Whether a file counts by its path inside the folder, with `/` between folders.

    Raises:
        InputError: A folder cannot be listed.
    """
    found = Found()
    for path, entry in _files(folder):
        if not counts(path):
            found.left_out[ending(path)] += 1
        elif entry.is_file() or (isinstance(entry, Path) and not entry.exists()):
            found.files.append(path)
        else:
            found.special.append(path)
    return found


def holds_any(folder: Path, counts: Callable[[str], bool]) -> bool:
    """Return whether `search` would find a file; it ends at the first one.

    Raises:
        InputError: A folder cannot be listed.
    """
    return any(counts(path) for path, _ in _files(folder))


def _files(folder: Path) -> Iterator[tuple[str, "os.DirEntry[str] | Path"]]:
    """Yield the path inside the folder of what is not a folder, with its entry, or with its full path for a link."""
    root = os.path.realpath(folder)
    entered: set[str] = set()
    pending = [("", root)]
    while pending:
        inside, real = pending.pop()
        if real in entered:
            continue
        entered.add(real)
        for entry in _listed(folder / inside):
            path, link = inside + entry.name, Path(entry.path) if entry.is_symlink() else None
            if not (link.is_dir() if link else entry.is_dir()):
                yield path, link or entry
                continue
            goal = os.path.realpath(link) if link else f"{real.rstrip('/')}/{entry.name}"
            if not (link and _is_reached(goal, root)):
                pending.append((f"{path}/", goal))


def _is_reached(goal: str, root: str) -> bool:
    """Whether a link leads to a folder above the root, or to one that is found below it without the link."""
    if Path(root).is_relative_to(goal):
        return True
    return Path(goal).is_relative_to(root) and not is_hidden(os.path.relpath(goal, root))


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder that are not hidden; those to be entered first stand last."""
    try:
        with os.scandir(folder) as entries:
            return sorted((one for one in entries if not is_hidden(one.name)), key=lambda one: one.name, reverse=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}.") from error
