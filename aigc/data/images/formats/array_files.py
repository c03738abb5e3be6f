"""Images in .npy and .npz files."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.data.images.arrays import ArrayImages, images_key, labels_key, log_shape
from aigc.data.images.decode import Alpha, reason
from aigc.data.images.formats.base import ImageFormat, OpenSettings
from aigc.errors import InputError


def open_array(name: str, path: Path, alpha: Alpha = "drop") -> ArrayImages:
    """Open the images of a .npy file, which stays on disk, or of a .npz file, which is loaded, without unpickling.

    Args:
        name: Its name in messages.
        path: The file.
        alpha: How transparency is treated.

    Raises:
        InputError: The file is damaged, or holds no images.
    """
    try:
        if path.suffix.lower() == ".npy":
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if not isinstance(array, np.ndarray):
                raise InputError(f"{name}: a .npz archive by its content; name it so.")
            return _logged(ArrayImages(name, array, alpha=alpha), array)
        with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as file:
            arrays = {key: _header(archive, key) for key in file.files}
            array = file[images_key(name, arrays)]
            labels = labels_key(name, arrays, len(array))
            return _logged(ArrayImages(name, array, file[labels] if labels else None, alpha=alpha), array)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # numpy raises whatever a damaged header makes it stumble over
        raise InputError(f"{name}: no whole {path.suffix} file of numbers: {reason(error)}.") from error


def _logged(images: ArrayImages, array: NDArray[Any]) -> ArrayImages:
    log_shape(images.name, array, images.pixels)
    return images


def _header(archive: zipfile.ZipFile, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of one array of a .npz file, without reading it; refuse one that lacks bytes."""
    member = archive.getinfo(f"{key}.npy")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if not dtype.hasobject and int(np.prod(shape, dtype=object)) * dtype.itemsize > member.file_size:
            raise ValueError(f"'{key}' says it is of shape {shape}, which is more than there is")
    return shape, dtype


class ArrayFiles(ImageFormat):
    """Files of numpy's arrays."""

    suffixes = (".npy", ".npz")
    shown = "an .npy or .npz file, asset:digits8.npz"

    def open(self, where: str, path: Path, settings: OpenSettings) -> ArrayImages:
        """Open the array of images."""
        return open_array(where, path, settings.alpha)


FORMAT = ArrayFiles()
