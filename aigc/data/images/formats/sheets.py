"""Bundled images: many of one size, side by side in one file."""

from dataclasses import dataclass
from pathlib import Path

from aigc import assets
from aigc.data.images.arrays import ArrayImages
from aigc.data.images.decode import decode
from aigc.data.images.formats.base import ImageFormat, OpenSettings


@dataclass(frozen=True)
class Sheet:
    """How images stand on a sheet: in reading order, the last row perhaps part empty."""

    size: int
    """Height and width of an image, in pixels."""

    number: int
    """How many images there are."""


SHEETS = {"emoji32.png": Sheet(size=32, number=1649)}
"""The assets that are sheets."""


def open_sheet(name: str, path: Path, sheet: Sheet) -> ArrayImages:
    """Cut a sheet into its images, row by row from the left."""
    pixels = decode(path.read_bytes(), name)
    rows, columns = (side // sheet.size for side in pixels.shape[:2])
    cells = pixels.reshape(rows, sheet.size, columns, sheet.size, 3).swapaxes(1, 2)
    return ArrayImages(name, cells.reshape(-1, sheet.size, sheet.size, 3)[: sheet.number])


class BundledSheets(ImageFormat):
    """Sheets among the bundled files."""

    prefix = assets.PREFIX
    names = tuple(f"{assets.PREFIX}{name}" for name in SHEETS)
    shown = ", ".join(names)

    def accepts(self, where: str, path: Path) -> bool:
        """Whether it is one of the sheets."""
        return where in self.names

    def open(self, where: str, path: Path, settings: OpenSettings) -> ArrayImages:
        """Cut the sheet."""
        return open_sheet(where, path, SHEETS[path.name])


FORMAT = BundledSheets()
