"""The base class of formats of image sets."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from aigc.data.images.base import Images
from aigc.data.images.decode import Alpha


@dataclass(frozen=True)
class OpenSettings:
    """How a set is opened.

    Attributes:
        alpha: How transparency is treated.
        size: Height and width of images that are drawn; None is the default of the format.
        root: The folder of torchvision's sets; None is `torchvision` in the shared cache.
        download: Whether a set may be fetched where its files are missing.
    """

    alpha: Alpha = "drop"
    size: int | None = None
    root: str | None = None
    download: bool = False


class ImageFormat(ABC):
    """A format of image sets.

    Attributes:
        shown: How messages list it, for example `a folder of images`.
        suffixes: What the names of its files end in, in lower case; empty if it is not a format of files.
        prefix: What the names of its sets begin with; empty for files and folders.
        names: The sets that it has, where these are few.
    """

    shown: str
    suffixes: tuple[str, ...] = ()
    prefix: str = ""
    names: tuple[str, ...] = ()

    def accepts(self, where: str, path: Path) -> bool:
        """Whether a set is of this format.

        Args:
            where: The path or name, as it was given.
            path: The file or folder that it would be.
        """
        if self.prefix:
            return where.startswith(self.prefix)
        return path.is_file() and path.suffix.lower() in self.suffixes

    def check(self, where: str, path: Path) -> None:  # noqa: B027
        """Check a set that `accepts` has accepted, without opening more files than needed.

        Raises:
            InputError: It holds no images.
        """

    @abstractmethod
    def open(self, where: str, path: Path, settings: OpenSettings) -> Images:
        """Open a set that `accepts` has accepted.

        Raises:
            InputError: It is damaged, holds no images, or cannot be reached.
            OSError: A file cannot be read.
        """
