"""Which images a person means by a path."""

from pathlib import Path
from typing import get_args

from aigc import assets
from aigc.data.hints import check_choice, did_you_mean, near
from aigc.data.images import hdf5, letters, torchvision_sets
from aigc.data.images.archive import Zip
from aigc.data.images.arrays import open_array
from aigc.data.images.base import Images
from aigc.data.images.decode import Alpha
from aigc.data.images.folder import Folder
from aigc.data.images.reading import OnBad, readable
from aigc.data.images.sheets import SHEETS, open_sheet
from aigc.errors import InputError

HUB = "hub:"
PREFIXES = (assets.PREFIX, "fonts:", torchvision_sets.PREFIX, HUB)
"""What begins the name of a set that is no path."""
_ASSETS = ("asset:digits8.npz", *(f"{assets.PREFIX}{name}" for name in SHEETS))
_ALLOWED = (
    f"a folder of images, a .zip, .npz, .npy, {' or '.join(hdf5.SUFFIXES)} file, a folder saved by datasets, "
    f"{', '.join(_ASSETS)}, {letters.NAME}, {torchvision_sets.PREFIX}NAME, or {HUB}NAME"
)


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
            those of these images alone. How many were left out is told.
        size: Height and width of images that are drawn, the letters; None means 32.
        root: The folder of torchvision's sets; None means `torchvision` in $AIGC_CACHE, or in ~/.cache/aigc.
        download: Whether a set of torchvision is fetched where its files are missing.

    Raises:
        InputError: Nothing is there, it is of another kind, or it holds no images.
    """
    check_choice("alpha", alpha, get_args(Alpha))
    check_choice("on_bad", on_bad, get_args(OnBad))
    try:
        if where.startswith(torchvision_sets.PREFIX):
            images = torchvision_sets.open_torchvision(where, root, download, alpha)
        elif where == letters.NAME:
            images = letters.Letters(size or letters.SIZE)
        else:
            images = _open(where, alpha)
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}.") from error
    return readable(images) if on_bad == "skip" else images


def _open(where: str, alpha: Alpha) -> Images:
    if not where.strip():
        raise InputError(f"the path of the images is empty; give {_ALLOWED}.")
    if where.startswith(HUB):
        from aigc.data.images.hub import open_hub_images

        return open_hub_images(where, where.removeprefix(HUB), alpha)
    place = assets.resolve(where)
    if where.startswith(assets.PREFIX) and place.name in SHEETS:
        return open_sheet(where, place, SHEETS[place.name])
    if place.is_dir():
        return _open_folder(where, place, alpha)
    if not place.exists():
        raise InputError(f"{where}: no such file or folder.{_near(where, place)}")
    suffix = place.suffix.lower()
    if place.is_file() and suffix == ".zip":
        return Zip(where, place, alpha)
    if place.is_file() and suffix in (".npy", ".npz"):
        return open_array(where, place, alpha)
    if place.is_file() and suffix in hdf5.SUFFIXES:
        return hdf5.HDF5(where, place, alpha)
    raise InputError(f"{where}: images cannot be read from it; allowed: {_ALLOWED}.")


def _open_folder(where: str, folder: Path, alpha: Alpha) -> Images:
    """A folder that `datasets` saved, or one of image files."""
    if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
        from aigc.data.images.hub import open_saved_images

        return open_saved_images(where, folder, alpha)
    return Folder(where, folder, alpha)


def _near(where: str, place: Path) -> str:
    """What a person may have meant by what is not there."""
    prefix, colon, _ = where.partition(":")
    if not colon or "/" in prefix:
        return near(place)
    meant = did_you_mean(f"{prefix}:", PREFIXES)
    return did_you_mean(where, [letters.NAME]) or meant or f" Names of sets begin with {', '.join(PREFIXES)}."
