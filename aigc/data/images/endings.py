"""How the names of image files end that are read; Pillow knows more formats, some of which start programs."""

from contextlib import suppress
from functools import cache
from importlib.util import find_spec

SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".ppm": "PPM",
    ".pgm": "PPM",
}
"""Endings of formats that are always read, with Pillow's names of these."""

_AVIF = {".avif": "AVIF"}
_HEIF = {".heic": "HEIF", ".heif": "HEIF", ".hif": "HEIF"}


@cache
def suffixes() -> dict[str, str]:
    """Return the endings of all formats that are read on this machine, with Pillow's names of these."""
    return SUFFIXES | (_AVIF if _has_avif() else {}) | (_HEIF if _has_heif() else {})


@cache
def advice() -> dict[str, str]:
    """Return what has to be installed for endings that are not read on this machine."""
    needs = dict.fromkeys(_AVIF, "read with: pip install --upgrade pillow")
    needs |= dict.fromkeys(_HEIF, "read with: pip install pillow-heif")
    return {suffix: what for suffix, what in needs.items() if suffix not in suffixes()}


def described() -> str:
    """Describe the endings, for messages."""
    optional = ", ".join(_AVIF | _HEIF)
    return f"Names of images end in {', '.join(SUFFIXES)} (where Pillow reads them, {optional}), at any depth."


def formats() -> tuple[str, ...]:
    """Return Pillow's names of the formats that are read."""
    return tuple(dict.fromkeys(suffixes().values()))


def _has_avif() -> bool:
    from PIL import features

    return "avif" in features.modules and bool(features.check("avif"))


def _has_heif() -> bool:
    """Whether Pillow's plug-in for HEIF is installed; it is registered then."""
    if find_spec("pillow_heif") is None:
        return False
    with suppress(ImportError):  # its library may lack
        from pillow_heif import register_heif_opener  # type: ignore[import-not-found, unused-ignore]

        register_heif_opener()
        return True
    return False
