"""A folder of image files, at any depth."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from aigc.data.fingerprints import sha256_of
from aigc.data.images.decode import MOST_BYTES, Alpha
from aigc.data.images.files import Files, is_hidden, is_image_file
from aigc.data.images.formats.base import ImageFormat, OpenSettings
from aigc.data.images.formats.saved import is_saved
from aigc.data.progress import log_once, step
from aigc.errors import InputError

_SHOWN = 3
_MANY = 10_000
"""Files whose hashing is shown."""
_TICK = 1000


class Folder(Files):
    """The image files below a folder.

    Hidden files are ignored. A link to an image inside the folder counts as an image; a link to a folder inside
    is not followed, as what lies there is found anyway.

    Args:
        name: Its name in messages.
        folder: The folder.
        alpha: How transparency is treated.

    Raises:
        InputError: There is no image, a folder cannot be listed, or a link leads out of the folder.
    """

    def __init__(self, name: str, folder: Path, alpha: Alpha = "drop") -> None:
        found = _search(name, folder)
        super().__init__(name, found.images, found.others, alpha)
        self.folder = folder
        if found.special:
            shown = ", ".join(sorted(found.special)[:_SHOWN]) + (", ..." if len(found.special) > _SHOWN else "")
            what = f"pipes, sockets or devices and no files: {shown} ({len(found.special):,})"
            log_once(f"{name}: left out, as they are {what}", logging.WARNING)

    def content(self, index: int) -> bytes:
        """Return the bytes of a file."""
        try:
            with (self.folder / self.paths[index]).open("rb") as file:
                return file.read(MOST_BYTES + 1)
        except OSError as error:
            raise InputError(f"{self.name_of(index)}: cannot be read: {error.strerror}.") from error

    def _hash_files(self) -> list[str]:
        paths = [self.folder / path for path in self.paths]
        many = len(paths) >= _MANY
        with step(f"hashing {len(paths):,} images", len(paths)) if many else nullcontext() as advance:
            hashes = sha256_of(path for path in _reporting(paths, advance) if os.access(path, os.R_OK))
        return [hashes.get(path, "unreadable") for path in paths]


def _reporting(paths: list[Path], advance: Callable[[int], None] | None) -> Iterator[Path]:
    """Yield the same paths, and report how many."""
    for done, path in enumerate(paths):
        if advance and done and done % _TICK == 0:
            advance(_TICK)
        yield path


@dataclass
class _Found:
    """What lies below a folder."""

    images: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)
    others: int = 0


def _search(name: str, folder: Path) -> _Found:
    """Sort out everything below a folder without opening any file."""
    found, pending = _Found(), [""]
    root = os.path.realpath(folder)
    while pending:
        inside = pending.pop()
        try:
            with os.scandir(folder / inside) as entries:
                listed = [entry for entry in entries if not is_hidden(entry.name)]
        except OSError as error:
            raise InputError(f"{folder / inside}: cannot be listed: {error.strerror}.") from error
        for entry in listed:
            path = inside + entry.name
            is_folder = Path(entry).is_dir() if entry.is_symlink() else entry.is_dir()
            if entry.is_symlink() and (is_folder or is_image_file(path)):
                _check_inside(f"{name.rstrip('/')}/{path}", Path(entry), root)
            if is_folder:
                pending += [] if entry.is_symlink() else [f"{path}/"]
            elif not is_image_file(path):
                found.others += 1
            elif entry.is_file(follow_symlinks=False) or (entry.is_symlink() and not _is_special(Path(entry))):
                found.images.append(path)
            else:
                found.special.append(path)
    return found


def _check_inside(name: str, link: Path, root: str) -> None:
    """Check that links stay inside: a folder of someone else's could show any file of this machine."""
    goal = os.path.realpath(link)
    if not Path(goal).is_relative_to(root):
        raise InputError(f"{name}: a link out of the folder, to {goal}. Copy what it leads to, or remove it.")


def _is_special(path: Path) -> bool:
    """Whether a link leads to no file, though to something; one to nothing is an image that cannot be read."""
    return path.exists() and not path.is_file()


class Folders(ImageFormat):
    """A folder of image files, unless `datasets` saved it."""

    shown = "a folder of images"

    def accepts(self, where: str, path: Path) -> bool:
        """Whether it is a folder that holds its images as files."""
        return path.is_dir() and not is_saved(path)

    def open(self, where: str, path: Path, settings: OpenSettings) -> Folder:
        """Find the images below the folder."""
        return Folder(where, path, settings.alpha)


FORMAT = Folders()
