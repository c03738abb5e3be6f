"""Bundled images: many of one size, side by side in one file."""

from dataclasses import dataclass
from pathlib import Path

from aigc.data.images.arrays import ArrayImages
from aigc.data.images.decode import decode


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
