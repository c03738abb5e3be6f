"""Which pictures a person means by a path."""

from typing import get_args

from aigc import assets
from aigc.data.hints import near, see_choice
from aigc.data.images.archive import Zip
from aigc.data.images.arrays import open_array
from aigc.data.images.base import Images
from aigc.data.images.decode import Alpha
from aigc.data.images.folder import Folder
from aigc.data.images.reading import Bad, readable
from aigc.data.images.sheets import SHEETS, open_sheet
from aigc.errors import InputError

_ALLOWED = (
    f"a folder of pictures, a .zip, .npz or .npy file, or {', '.join(f'{assets.PREFIX}{name}' for name in SHEETS)}"
)


def open_images(where: str, *, alpha: Alpha = "drop", bad: Bad = "fail") -> Images:
    """Open a set of pictures; nothing is decoded yet but a bundled sheet.

    Args:
        where: A folder (searched at any depth), a .zip, .npz or .npy file, or `asset:emoji32.png`.
        alpha: What becomes of transparency: `drop` ignores it, as reference implementations of FID do; `white` and
            `black` lay the picture on a ground.
        bad: What becomes of pictures that cannot be read: `fail` names the first one when it is read. `skip` decodes
            everything once here and gives the set of those that can be read: its length, numbers and fingerprint are
            those of these pictures alone. How many were left out is told.

    Raises:
        InputError: Nothing is there, it is of another kind, or it holds no pictures.
    """
    see_choice("alpha", alpha, get_args(Alpha))
    see_choice("bad", bad, get_args(Bad))
    try:
        images = _open(where, alpha)
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}.") from error
    return readable(images) if bad == "skip" else images


def _open(where: str, alpha: Alpha) -> Images:
    if not where.strip():
        raise InputError(f"the path of the pictures is empty; give {_ALLOWED}.")
    place = assets.resolve(where)
    if where.startswith(assets.PREFIX) and place.name in SHEETS:
        return open_sheet(where, place, SHEETS[place.name])
    if place.is_dir():
        return Folder(where, place, alpha)
    suffix = place.suffix.lower()
    if not place.exists():
        raise InputError(f"{where}: no such file or folder.{near(place)}")
    if place.is_file() and suffix == ".zip":
        return Zip(where, place, alpha)
    if place.is_file() and suffix in (".npy", ".npz"):
        return open_array(where, place, alpha)
    raise InputError(f"{where}: pictures cannot be read from it; allowed: {_ALLOWED}.")
