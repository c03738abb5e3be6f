"""A folder of image files, at any depth."""

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

from aigc.data.fingerprints import sha256_of
from aigc.data.images.decode import MOST_BYTES, Alpha
from aigc.data.images.files import Files, counts, is_image
from aigc.data.images.formats.base import ImageFormat, OpenSettings
from aigc.data.images.formats.saved import is_saved
from aigc.data.progress import step
from aigc.errors import InputError
from aigc.files.search import holds_any, search
from aigc.printing import plural

_MANY = 10_000
"""Files whose hashing is shown."""
_TICK = 1000


class Folder(Files):
    """The image files below a folder, as `aigc.files.search` finds them.

    Args:
        name: Its name in messages.
        folder: The folder.
        alpha: How transparency is treated.

    Raises:
        InputError: There is no image, or a folder cannot be listed.
    """

    def __init__(self, name: str, folder: Path, alpha: Alpha = "drop") -> None:
        self.folder = folder
        super().__init__(name, search(folder, counts), alpha)

    def _bytes(self, path: str, most: int = MOST_BYTES) -> bytes:
        try:
            with (self.folder / path).open("rb") as file:
                return file.read(most + 1)
        except OSError as error:
            raise InputError(f"{self.name.rstrip('/')}/{path}: cannot be read: {error.strerror}.") from error

    def _hash_files(self) -> list[str]:
        paths = [self.folder / path for path in self.paths]
        many = len(paths) >= _MANY
        with step(f"hashing {plural(len(paths), 'image')}", len(paths)) if many else nullcontext() as advance:
            hashes = sha256_of(path for path in _reporting(paths, advance) if os.access(path, os.R_OK))
        return [hashes.get(path, "unreadable") for path in paths]


def _reporting(paths: list[Path], advance: Callable[[int], None] | None) -> Iterator[Path]:
    """Yield the same paths, and report how many."""
    for done, path in enumerate(paths):
        if advance and done and done % _TICK == 0:
            advance(_TICK)
        yield path


class Folders(ImageFormat):
    """A folder of image files, unless `datasets` saved it."""

    shown = "a folder of images"

    def accepts(self, where: str, path: Path) -> bool:
        """Whether it is a folder that holds its images as files."""
        return path.is_dir() and not is_saved(path)

    def check(self, where: str, path: Path) -> None:
        """Check that there is an image file."""
        if not holds_any(path, is_image):
            Folder(where, path)

    def open(self, where: str, path: Path, settings: OpenSettings) -> Folder:
        """Find the images below the folder."""
        return Folder(where, path, settings.alpha)


FORMAT = Folders()
