"""Image files in a folder or an archive: their order, and the classes that folders or a file of labels make."""

import re
from abc import abstractmethod
from pathlib import PurePosixPath

import numpy as np

from aigc.data.images import endings, label_file
from aigc.data.images.base import ImageArray, Images, Labels
from aigc.data.images.decode import MOST_BYTES, Alpha, decode
from aigc.data.images.label_file import NAME, is_label_file, labels_of
from aigc.data.left_out import log_left_out
from aigc.data.progress import log_once
from aigc.errors import InputError
from aigc.files.names import Found

_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and bytes that are not UTF-8; spaces of other scripts and joined emoji are fine."""


class Files(Images):
    """Image files, in the order of their paths, compared folder by folder and character by character.

    Classes are those of StyleGAN's `dataset.json` where it lies beside the images and names them. Else, where every
    image lies in a folder of the set, one level down, and there are two such folders or more, these are the classes,
    sorted by name. A folder that holds all of them, as archives often have, does not count. A `dataset.json` that is
    damaged or of another tool gives no classes and is the `label_error`.

    Args:
        name: The name of the set in messages.
        found: The files for which `counts` is true, with `/` between folders. The others are logged.
        alpha: How transparency is treated.

    Raises:
        InputError: There is no image, or one with a name that cannot be shown.
    """

    def __init__(self, name: str, found: Found, alpha: Alpha) -> None:
        self.name = name
        self.alpha = alpha
        tables = sorted((path for path in found.files if is_label_file(path)), key=len)
        self.paths = sorted((path for path in found.files if not is_label_file(path)), key=lambda path: path.split("/"))
        if not self.paths:
            found.leave_out(tables)
            others = f"; it holds {found.described(endings.advice())}" if found.left_out else ""
            raise InputError(f"{name}: no image is in it{others}. {endings.described()}")
        for path in self.paths:
            if _UNSHOWABLE.search(path):
                raise InputError(f"{name}: the name {path!a} has characters that cannot be shown; rename it.")
        used = next((path for path in tables if self._takes_labels(path)), None)
        if used is None:
            self.labels, self.classes = _classes(self.paths)
            self.labels_from = "class folders"
        found.leave_out(path for path in tables if path != used)
        log_left_out(name, found, endings.advice())

    def _takes_labels(self, path: str) -> bool:
        """Take the labels of a file that names images, or its error; images outside its folder have no label in it."""
        folder = path.removesuffix(NAME)
        name = f"{self.name.rstrip('/')}/{path}"
        below = [one.removeprefix(folder) if one.startswith(folder) else f"../{one}" for one in self.paths]
        try:
            found = labels_of(name, self._bytes(path, label_file.MOST_BYTES), below)
        except InputError as error:
            self.label_error = error
            return True
        if found is None or (found.labels is None and not all(one.startswith(folder) for one in self.paths)):
            return False
        self.labels, self.classes = found
        if found.labels is None and _classes(self.paths)[1]:
            log_once(f"{name}: it gives no classes, and so the folders are not taken for classes")
        self.labels_from = f"classes in {NAME}"
        return True

    def __len__(self) -> int:
        return len(self.paths)

    def name_of(self, index: int) -> str:
        """Return the set's name with the path inside it."""
        return f"{self.name.rstrip('/')}/{self.paths[index]}"

    def read(self, index: int) -> ImageArray:
        """Decode a file."""
        return decode(self._bytes(self.paths[index]), self.name_of(index), self.alpha)

    @abstractmethod
    def _bytes(self, path: str, most: int = MOST_BYTES) -> bytes:
        """Return the bytes of a file; an InputError names one that cannot be read or has more than `most`."""

    @abstractmethod
    def _hash_files(self) -> list[str]:
        """Hash each file by SHA-256; for one that cannot be read, return anything that does not change."""

    def _hash_all(self) -> list[str]:
        hashes = self._hash_files()
        return hashes if self.alpha == "drop" else [f"{one} on {self.alpha}" for one in hashes]


def is_image(path: str) -> bool:
    """Whether a file is an image by its path."""
    return PurePosixPath(path).suffix.lower() in endings.suffixes()


def counts(path: str) -> bool:
    """Whether a file counts by its path: an image, or a file of labels."""
    return is_image(path) or is_label_file(path)


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
