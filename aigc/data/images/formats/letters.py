"""The letters A to Z of many typefaces, drawn on demand: images with classes that no file holds."""

import hashlib
import random
import string
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from aigc.data.fingerprints import sha256_of
from aigc.data.images.base import ImageArray, Images
from aigc.data.images.formats.base import ImageFormat, OpenSettings
from aigc.errors import InputError

NAME = "fonts:letters"
SIZE = 32
"""Height and width in pixels where a person does not choose them."""
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmss10", "cmtt10"),
)
"""The typefaces for Latin text among the files of matplotlib, without their endings."""
VARIANTS = 9
"""Images of each letter in each typeface; all but the first are moved and scaled a little."""
DRAWING_VERSION = 1
"""Raised whenever other images would be drawn."""

_CAPITAL = 0.56
"""Height of an H as a share of the image's: then the widest letter fits, moved and scaled."""
_SCALE, _SHIFT = 0.1, 0.04
"""The largest change of the size, as a share of it, and of the position, as a share of the image's side."""
_FINE = 4
"""Factor by which letters are drawn larger before they are resized."""


class Letters(Images):
    """Capital letters, black on white, the same in every process: all of one typeface, then the next, nine times over.

    Args:
        size: Height and width in pixels.

    Raises:
        InputError: The font files are missing.
    """

    def __init__(self, size: int = SIZE) -> None:
        self.name = NAME
        self.size = size
        self.classes = tuple(string.ascii_uppercase)
        self.labels = np.arange(len(self), dtype=np.int64) % len(self.classes)
        folder = _font_folder()
        self._files = [folder / f"{font}.ttf" for font in FONTS]
        if missing := [file.name for file in self._files if not file.is_file()]:
            raise InputError(f"{NAME}: matplotlib has no {', '.join(missing)}; install another version of it.")

    def __len__(self) -> int:
        return VARIANTS * len(FONTS) * len(self.classes)

    def name_of(self, index: int) -> str:
        """Return the set's name, the image's number, and what it shows."""
        letter, font, variant = self._parts(index)
        return f"{NAME}[{index}] ({self.classes[letter]}, {FONTS[font]}, {variant})"

    def read(self, index: int) -> ImageArray:
        """Draw a letter."""
        letter, font, variant = self._parts(index)
        chance = random.Random(index)  # Python keeps what `random` gives for a seed the same
        scale, right, down = ((chance.random() * 2 - 1 if variant else 0.0) for _ in range(3))
        side = self.size * _FINE
        large = _drawn(self.classes[letter], _sized(self._files[font], side), side)
        window = side / (1 + scale * _SCALE)  # a smaller part of the drawing makes a larger letter
        left, top = side - window / 2 - right * _SHIFT * side, side - window / 2 - down * _SHIFT * side
        box = (left, top, left + window, top + window)
        grey = np.asarray(large.resize((self.size, self.size), Image.Resampling.BOX, box))
        return np.repeat(grey[..., None], 3, axis=2)

    def _parts(self, index: int) -> tuple[int, int, int]:
        """Return the numbers of the letter, of the typeface, and of the variant."""
        rest, letter = divmod(index, len(self.classes))
        variant, font = divmod(rest, len(FONTS))
        return letter, font, variant

    @cached_property
    def _drawing(self) -> str:
        """Everything that decides how letters look besides their files."""
        settings = (DRAWING_VERSION, self.size, _CAPITAL, _SCALE, _SHIFT, _FINE, features.version("freetype2"))
        return hashlib.sha256(repr(settings).encode()).hexdigest()

    def _hash_all(self) -> list[str]:
        fonts = list(sha256_of(self._files).values())
        return [f"{fonts[self._parts(index)[1]]} {self._drawing} {index}" for index in range(len(self))]


def _drawn(letter: str, font: ImageFont.FreeTypeFont, side: int) -> Image.Image:
    """Draw a letter in the middle of an image twice as large as the part that is kept."""
    large = Image.new("L", (2 * side, 2 * side), 255)
    left, _, right, _ = font.getbbox(letter, anchor="ls")
    baseline = side + _CAPITAL * side / 2
    ImageDraw.Draw(large).text((side - (left + right) / 2, baseline), letter, 0, font, anchor="ls")
    return large


@lru_cache(maxsize=2 * len(FONTS))
def _sized(file: Path, side: int) -> ImageFont.FreeTypeFont:
    """Return a typeface whose H is `_CAPITAL` as high as the image."""
    plain = ImageFont.Layout.BASIC  # the same with and without a library for complex scripts
    _, top, _, bottom = ImageFont.truetype(file, 1000, layout_engine=plain).getbbox("H", anchor="ls")
    return ImageFont.truetype(file, 1000 * _CAPITAL * side / (bottom - top), layout_engine=plain)


def _font_folder() -> Path:
    spec = find_spec("matplotlib")  # which does not import it
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"{NAME}: the typefaces come with a package that is missing: pip install matplotlib.")
    return Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"


class DrawnLetters(ImageFormat):
    """The letters by their name."""

    prefix = "fonts:"
    names = (NAME,)
    shown = NAME

    def accepts(self, where: str, path: Path) -> bool:
        """Whether it is the one name that there is."""
        return where == NAME

    def open(self, where: str, path: Path, settings: OpenSettings) -> Letters:
        """Draw them in the size asked for."""
        return Letters(settings.size or SIZE)


FORMAT = DrawnLetters()
