"""Images in an HDF5 file, read block by block, so that the file may be larger than memory."""

import threading
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from aigc.data.fingerprints import sha256_of
from aigc.data.images.arrays import ArrayImages, Headers, channels_last, images_key, labels_key, log_shape, numbered
from aigc.data.images.base import ImageArray, Images
from aigc.data.images.decode import Alpha, reason
from aigc.data.images.formats.base import ImageFormat, OpenSettings
from aigc.data.progress import step
from aigc.errors import InputError

_BLOCK = 4 << 20
"""Bytes that are read together, where the file's own chunks are not larger."""
_LARGE = 1 << 30
"""Bytes of a file whose hashing is shown."""
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What reading a file can raise."""


class HDF5(Images):
    """The images of a data set `images`, and their classes where there is one of `labels`.

    Both stand at the top of the file, under the names and in the shapes that an .npz file may have. The file stays on
    disk and is open only while it is read; each image is known by the hash of the whole file and its number.

    Args:
        name: Its name in messages.
        path: The file.
        alpha: How transparency is treated.

    Raises:
        InputError: The package h5py is missing, the file is damaged or leads to others, or it holds no images.
    """

    def __init__(self, name: str, path: Path, alpha: Alpha = "drop") -> None:
        self.name = name
        self.alpha = alpha
        self._path = path
        self._h5py = _h5py(name)
        try:
            with self._h5py.File(path, "r") as file:
                sets = {key: file[key] for key in file if _is_own(self._h5py, name, file, key)}
                headers: Headers = {key: (one.shape, one.dtype) for key, one in sets.items()}
                self._key = images_key(name, headers)
                shape, dtype = headers[self._key]
                together = (sets[self._key].chunks or (1,))[0]
                if labels := labels_key(name, headers, shape[0] if shape else 0):
                    self.labels, self.classes = numbered(sets[labels][:])
        except _DAMAGE as error:
            raise InputError(f"{name}: no whole HDF5 file: {reason(error)}.") from error
        whole: Any = np.broadcast_to(np.empty((), dtype), shape)  # takes no memory
        view = channels_last(name, whole)
        log_shape(name, whole, view)
        self._length, self._channels = len(view), view.shape[3]
        self._rows = max(1, _BLOCK // (together * int(np.prod(view.shape[1:])))) * together
        self._begin = -1
        self._block: ArrayImages | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._length

    def name_of(self, index: int) -> str:
        """Return the file's name and the image's number, from 0."""
        return f"{self.name}[{index}]"

    def read(self, index: int) -> ImageArray:
        """Copy an image out of the block that holds it, which is read first if it is another than the last one."""
        begin = index - index % self._rows
        with self._lock:
            if begin != self._begin or self._block is None:
                try:
                    with self._h5py.File(self._path, "r") as file:
                        rows = file[self._key][begin : begin + self._rows]
                except _DAMAGE as error:
                    raise InputError(f"{self.name_of(index)}: cannot be read: {reason(error)}.") from error
                self._begin, self._block = begin, ArrayImages(self.name, rows, alpha=self.alpha)
            return self._block.read(index - begin)

    def _hash_all(self) -> list[str]:
        large = self._path.stat().st_size > _LARGE
        with step(f"hashing {self.name}") if large else nullcontext():
            (content,) = sha256_of([self._path]).values()
        ground = f" on {self.alpha}" if self._channels == 4 and self.alpha != "drop" else ""
        return [f"{content} {index}{ground}" for index in range(len(self))]


def _h5py(name: str) -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{name}: HDF5 needs a package that is missing: pip install 'aigc[hdf5]'.") from error
    module: ModuleType = h5py
    return module


def _is_own(h5py: ModuleType, name: str, file: Any, key: str) -> bool:
    """Whether an entry is an array; one that leads to another file could show any file of this machine.

    Raises:
        InputError: It does, or may do.
    """
    is_link = not isinstance(file.get(key, getlink=True), h5py.HardLink)  # it is not followed to find out
    is_array = not is_link and isinstance(file[key], h5py.Dataset)
    if is_link or (is_array and (file[key].is_virtual or file[key].external)):
        raise InputError(f"{name}: '{key}' is a link, or lies in another file. Copy what it leads to into this one.")
    return is_array


class HDF5Files(ImageFormat):
    """HDF5 files."""

    suffixes = (".h5", ".hdf5")
    shown = "an .h5 or .hdf5 file"

    def open(self, where: str, path: Path, settings: OpenSettings) -> HDF5:
        """Open the data set `images` of a file."""
        return HDF5(where, path, settings.alpha)


FORMAT = HDF5Files()
