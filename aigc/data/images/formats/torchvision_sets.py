"""The training images of well-known sets, in the folders that torchvision keeps them in."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aigc.config.problems import choices
from aigc.data.fingerprints import cache_folder
from aigc.data.images.arrays import ArrayImages
from aigc.data.images.base import Images
from aigc.data.images.decode import Alpha, reason
from aigc.data.images.files import Files
from aigc.data.images.formats.archive import Zip
from aigc.data.images.formats.base import ImageFormat, OpenSettings
from aigc.data.images.formats.folder import Folder
from aigc.data.images.idx import read_idx
from aigc.data.progress import step
from aigc.errors import AigcError, InputError
from aigc.runs.locks import locked

PREFIX = "torchvision:"
_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts its files."""
_LFW = ("lfw_funneled", "lfw-deepfunneled", "lfw")
"""Folders of LFW's three alignments, the usual one first."""
_SHOWN = 3

_log = logging.getLogger("aigc")


class _NotThereError(Exception):
    """Files of a set are missing or damaged: its arguments, as seen from the set's folder."""


class Known(NamedTuple):
    """A set of torchvision."""

    folder: str
    """Where it lies, below the root."""
    open: Callable[[str, Path, Alpha], Images]
    """Opens it by its name and its folder; `_NotThereError` says what is missing."""
    fetched: bool = True
    """Whether torchvision can download it."""


def open_torchvision(where: str, root: str | None = None, download: bool = False, alpha: Alpha = "drop") -> Images:
    """Open the training images of a set of torchvision; of LFW, which is made of pairs, all.

    Args:
        where: `torchvision:NAME`.
        root: The folder that torchvision calls root; None means `torchvision` in $AIGC_CACHE, or in ~/.cache/aigc.
        download: Whether torchvision fetches the set where files of it are missing.
        alpha: How transparency is treated.

    Raises:
        InputError: There is no set of that name, files of it are missing or damaged, or it cannot be fetched.
    """
    name = where.removeprefix(PREFIX)
    if name not in SETS:
        raise InputError(f"{where}: there is no such set. {choices(name, SETS)}")
    known = SETS[name]
    above = Path(root).expanduser() if root else cache_folder() / "torchvision"
    try:
        return known.open(where, above / known.folder, alpha)
    except _NotThereError as error:
        lacks = f"{above / known.folder} lacks {', '.join(error.args[:_SHOWN])}"
        lacks += f" and {len(error.args) - _SHOWN} more" if len(error.args) > _SHOWN else ""
        elsewhere = f"or set data.root to the folder that holds {known.folder}/."
        by_hand = f"{where}: {lacks}. Put them there, {elsewhere}"
    if not known.fetched:
        raise InputError(f"{by_hand} The set is no longer offered for download.")
    if not download:
        raise InputError(f"{where}: {lacks}. Set data.download=true to fetch the set, {elsewhere}")
    _fetch(name, above, by_hand)
    try:
        return known.open(where, above / known.folder, alpha)
    except _NotThereError as error:
        raise InputError(f"{by_hand} The download did not bring {', '.join(error.args[:_SHOWN])}.") from error


def _fetch(name: str, root: Path, by_hand: str) -> None:
    """Let torchvision download a set; of several processes one does, and the others wait for it."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise InputError(f"{by_hand} Nothing is downloaded while HF_HUB_OFFLINE is set.")
    from torchvision import datasets

    try:
        root.mkdir(parents=True, exist_ok=True)
        with locked(root / f".{name}.lock"), step(f"downloading {name} to {root}"):
            getattr(datasets, name)(str(root), download=True)
    except AigcError:
        raise
    except Exception as error:  # whatever the network or a packed file makes it stumble over
        raise InputError(f"{by_hand} It cannot be downloaded: {reason(error)}.") from error


def _cifar(where: str, folder: Path, alpha: Alpha) -> Images:
    """Open pickled batches, which torchvision unpickles when their checksums are right."""
    from torchvision import datasets
    from torchvision.datasets.utils import check_integrity

    kind = getattr(datasets, where.removeprefix(PREFIX))
    meta = (kind.meta["filename"], kind.meta["md5"])
    files = [file for file, md5 in (*kind.train_list, *kind.test_list, meta) if not check_integrity(folder / file, md5)]
    if files:
        raise _NotThereError(*files)
    found = kind(str(folder.parent))
    return ArrayImages(where, found.data, np.array(found.targets), tuple(found.classes), alpha)


def _mnist(classes: tuple[str, ...], *elsewhere: Path) -> Callable[[str, Path, Alpha], Images]:
    """Open idx files, packed or not, from the set's folder or another that has them."""

    def open_idx(where: str, folder: Path, alpha: Alpha) -> Images:
        names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
        folders = [one for one in (folder, *elsewhere) if one.is_dir()] or [folder]
        there = [[_packed_or_not(one / name) for name in names] for one in folders]
        files = next((found for found in there if all(found)), there[0])
        if not all(files):
            raise _NotThereError(*(name for name, file in zip(names, files, strict=True) if not file))
        images, labels = (read_idx(file) for file in files if file)
        if images.ndim != 3 or labels.shape != images.shape[:1] or labels.max(initial=0) >= len(classes):
            what = f"{files[1]} has no label for each image of {files[0]}. Copy or download both again."
            raise InputError(f"{where}: {what}")
        return ArrayImages(where, images[..., None], labels, classes, alpha)

    return open_idx


def _packed_or_not(path: Path) -> Path | None:
    return next((file for file in (path, path.with_name(f"{path.name}.gz")) if file.is_file()), None)


def _celeba(where: str, folder: Path, alpha: Alpha) -> Images:
    """Open aligned faces in a folder or an archive; a table says which of them are for training."""
    images, archive = _inner(folder / "img_align_celeba"), folder / "img_align_celeba.zip"
    table = folder / "list_eval_partition.txt"
    missing = [] if images.is_dir() or archive.is_file() else ["img_align_celeba/"]
    missing += [] if table.is_file() else [table.name]
    if missing:
        raise _NotThereError(*missing)
    whole: Files = Folder(str(images), images, alpha) if images.is_dir() else Zip(str(archive), archive, alpha)
    rows = [line.split() for line in table.read_text(encoding="utf-8", errors="replace").splitlines()]
    training = {row[0] for row in rows if row[1:] == ["0"]}
    chosen = [index for index, path in enumerate(whole.paths) if path.rpartition("/")[2] in training]
    if not chosen:
        raise InputError(f"{where}: {table} names no image of {whole.name} for training (a name and 0 in a line).")
    if len(chosen) < len(training):
        what = "%s: %s of %s training images are missing in %s"
        _log.warning(what, where, f"{len(training) - len(chosen):,}", f"{len(training):,}", whole.name)
    return whole.subset(chosen)


def _lfw(where: str, folder: Path, alpha: Alpha) -> Images:
    """Open faces in a folder for each person."""
    found = next((_inner(folder / name) for name in _LFW if (folder / name).is_dir()), None)
    if found is None:
        raise _NotThereError(f"{_LFW[0]}/")
    return Folder(str(found), found, alpha)


def _inner(folder: Path) -> Path:
    """Return a folder, or the one of the same name in it, which some archives have."""
    return folder / folder.name if (folder / folder.name).is_dir() else folder


SETS = {
    "CIFAR10": Known("cifar-10-batches-py", _cifar),
    "CIFAR100": Known("cifar-100-python", _cifar),
    "MNIST": Known("MNIST/raw", _mnist(_DIGITS)),
    "FashionMNIST": Known("FashionMNIST/raw", _mnist(_CLOTHES, _DEBIAN)),
    "CelebA": Known("celeba", _celeba),
    "LFW": Known("lfw-py", _lfw, fetched=False),
}
"""The sets by torchvision's names."""


class TorchvisionSets(ImageFormat):
    """Sets by torchvision's names."""

    prefix = PREFIX
    names = tuple(f"{PREFIX}{name}" for name in SETS)
    shown = f"{PREFIX}NAME"

    def open(self, where: str, path: Path, settings: OpenSettings) -> Images:
        """Open the training images of a set."""
        return open_torchvision(where, settings.root, settings.download, settings.alpha)


FORMAT = TorchvisionSets()
