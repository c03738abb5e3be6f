"""Image files in a folder or an archive: which of the names count, their order, and the classes that folders make."""

import re
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import PurePosixPath

import numpy as np

from aigc.data.images.base import ImageArray, Images, Labels
from aigc.data.images.decode import SUFFIXES, Alpha, decode
from aigc.errors import InputError

_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and bytes that are not UTF-8; spaces of other scripts and joined emoji are fine."""


class Files(Images):
    """Image files, in the order of their paths, compared folder by folder and character by character.

    Where every image lies in a folder of the set, one level down, and there are two such folders or more, these are
    the classes, sorted by name. A folder that holds all of them, as archives often have, does not count.

    Args:
        name: The name of the set in messages.
        paths: The paths of the images inside the set, with `/` between folders.
        others: How many other files there are.
        alpha: How transparency is treated.

    Raises:
        InputError: There is no image, or one with a name that cannot be shown.
    """

    def __init__(self, name: str, paths: Iterable[str], others: int, alpha: Alpha) -> None:
        self.name = name
        self.alpha = alpha
        self.paths = sorted(paths, key=lambda path: path.split("/"))
        self.labels, self.classes = _classes(self.paths)
        if not self.paths:
            raise InputError(
                f"{name}: no image is in it, and {others:,} other files are. Names of images end in "
                f"{', '.join(SUFFIXES)}; folders are searched at any depth."
            )
        for path in self.paths:
            if _UNSHOWABLE.search(path):
                raise InputError(f"{name}: the name {path!a} has characters that cannot be shown; rename it.")

    def __len__(self) -> int:
        return len(self.paths)

    def name_of(self, index: int) -> str:
        """Return the set's name with the path inside it."""
        return f"{self.name.rstrip('/')}/{self.paths[index]}"

    def read(self, index: int) -> ImageArray:
        """Decode a file."""
        return decode(self.content(index), self.name_of(index), self.alpha)

    @abstractmethod
    def content(self, index: int) -> bytes:
        """Return the bytes of a file; an InputError names one that cannot be read."""

    @abstractmethod
    def _hash_files(self) -> list[str]:
        """Hash each file by SHA-256; for one that cannot be read, return anything that does not change."""

    def _hash_all(self) -> list[str]:
        hashes = self._hash_files()
        return hashes if self.alpha == "drop" else [f"{one} on {self.alpha}" for one in hashes]


def is_image_file(path: str) -> bool:
    """Whether a file's name ends like an image's."""
    return PurePosixPath(path).suffix.lower() in SUFFIXES


def is_hidden(path: str) -> bool:
    """Whether a file, or a folder that it lies in, is hidden; macOS packs `__MACOSX/._a.png` beside `a.png`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def _classes(paths: list[str]) -> tuple[Labels | None, tuple[str, ...]]:
    """Return labels and names of the classes, from sorted paths; folders that hold all others do not count."""
    parts = [path.split("/") for path in paths]
    while parts and min(map(len, parts)) > 2 and len({part[0] for part in parts}) == 1:
        parts = [part[1:] for part in parts]
    names = sorted({part[0] for part in parts})
    if len(names) < 2 or any(len(part) != 2 for part in parts):
        return None, ()
    number = {name: label for label, name in enumerate(names)}
    return np.array([number[part[0]] for part in parts], np.int64), tuple(names)
