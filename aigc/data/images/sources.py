"""From a path or a name to a set of images."""

from pathlib import Path
from typing import get_args

from aigc import assets
from aigc.data.hints import check_choice, did_you_mean, near
from aigc.data.images.base import Images
from aigc.data.images.decode import Alpha
from aigc.data.images.formats import ImageFormat, OpenSettings, described, formats, prefixes
from aigc.data.images.reading import OnBad, readable
from aigc.errors import InputError
from aigc.files.kinds import HEAD, stand_in


def open_images(
    where: str,
    *,
    alpha: Alpha = "drop",
    on_bad: OnBad = "fail",
    size: int | None = None,
    root: str | None = None,
    download: bool = False,
) -> Images:
    """Open a set of images; nothing is decoded yet but a bundled sheet.

    Args:
        where: A folder (searched at any depth), a .zip, .npz, .npy, .h5 or .hdf5 file, a folder saved by `datasets`, a
            bundled file (`asset:emoji32.png`), `fonts:letters`, a set of torchvision (`torchvision:CIFAR10`), or one of
            the Hugging Face Hub (`hub:NAME`).
        alpha: What becomes of transparency: `drop` ignores it, as reference implementations of FID do; `white` and
            `black` lay the image on a ground.
        on_bad: What becomes of images that cannot be read: `fail` names the first one when it is read. `skip` decodes
            everything once here and gives the set of those that can be read: its length, numbers and fingerprint are
            those of these images alone. How many were left out is logged.
        size: Height and width of images that are drawn, the letters; None means 32.
        root: The folder of torchvision's sets; None means `torchvision` in $AIGC_CACHE, or in ~/.cache/aigc.
        download: Whether a set of torchvision is fetched where its files are missing.

    Raises:
        InputError: Nothing is there, its format is not known, or it holds no images.
    """
    check_choice("alpha", alpha, get_args(Alpha))
    check_choice("on_bad", on_bad, get_args(OnBad))
    try:
        images = _open(where, OpenSettings(alpha, size, root, download))
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}.") from error
    return readable(images) if on_bad == "skip" else images


def _open(where: str, settings: OpenSettings) -> Images:
    return _format_of(where).open(where, assets.resolve(where), settings)


def check_path(where: str) -> None:
    """Check before anything is read that a set of images can be there.

    Raises:
        InputError: Nothing is there, its format is not known, or a folder holds no image.
    """
    _format_of(where).check(where, assets.resolve(where))


def _format_of(where: str) -> ImageFormat:
    if not where.strip():
        raise InputError(f"the path of the images is empty; allowed: {described()}.")
    path = assets.resolve(where)
    found = next((one for one in formats() if one.accepts(where, path)), None)
    if path.is_file():
        with path.open("rb") as file:
            kind = stand_in(file.read(HEAD))
        if kind is not None:
            raise InputError(f"{where}: {kind}")
    if found is not None:
        return found
    if not path.exists():
        raise InputError(f"{where}: no such file or folder.{_near(where, path)}")
    raise InputError(f"{where}: images cannot be read from it; allowed: {described()}.")


def _near(where: str, path: Path) -> str:
    """Suggest existing names like one that does not exist."""
    prefix, colon, _ = where.partition(":")
    if not colon or "/" in prefix:
        return near(path)
    names = [name for one in formats() for name in one.names]
    meant = did_you_mean(where, names) or did_you_mean(f"{prefix}:", prefixes())
    return meant or f" Names of sets begin with {', '.join(prefixes())}."
