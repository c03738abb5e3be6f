"""Statistics as .npz files, in the layout of pytorch-fid and clean-fid: mu and sigma, and further arrays."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aigc.errors import InputError
from aigc.metrics.image.frechet import is_symmetric
from aigc.metrics.image.moments import mean_and_covariance, sums
from aigc.metrics.image.statistics import Statistics
from aigc.printing import plural
from aigc.runs.files import write_atomic

_FEATURES = "feats"
"""What clean-fid calls features."""
_KEPT = {
    "features": (_FEATURES, np.float32, 2),
    "logits": ("logits", np.float32, 2),
    "indices": ("indices", np.int64, 1),
}
"""What is kept of the images: its name in a file, type and number of axes."""
_TEXTS = ("suffix", "description", "identity")
_Arrays = Mapping[str, npt.NDArray[Any]]


def write_statistics(path: Path, statistics: Statistics) -> None:
    """Write a file atomically.

    Raises:
        OSError: The folder does not exist, cannot be written, or is full.
    """
    arrays: dict[str, Any] = {"mu": statistics.mean.numpy(), "sigma": statistics.covariance.numpy()}
    arrays |= {name: np.array(getattr(statistics, name)) for name in _TEXTS}
    if statistics.count is not None:
        arrays["count"] = np.array(statistics.count)
    for name, (key, _, _) in _KEPT.items():
        kept: Tensor | None = getattr(statistics, name)
        if kept is not None:
            arrays[key] = kept.numpy()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomic(path, buffer.getvalue())


def is_statistics(path: Path) -> bool:
    """Whether a file holds statistics, or features alone as clean-fid writes them, and no images."""
    try:
        with zipfile.ZipFile(path) as file:
            names = set(file.namelist())
    except (OSError, zipfile.BadZipFile):
        return False
    return {"mu.npy", "sigma.npy"} <= names or f"{_FEATURES}.npy" in names


def read_statistics(path: Path) -> Statistics:
    """Read a file of this project's, pytorch-fid's or clean-fid's.

    The latter two do not say which network made them, nor of how many images.

    Raises:
        InputError: The file cannot be read, or what it holds are no statistics; the message names file and array.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except (OSError, ValueError, TypeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: cannot be read as a statistics file (.npz with mu and sigma): {error}") from error
    try:
        return _statistics(arrays)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _statistics(arrays: _Arrays) -> Statistics:
    if _FEATURES in arrays and not {"mu", "sigma"} & arrays.keys():
        features = _numbers(arrays, _FEATURES, np.float64, 2)
        mean, covariance = _moments(features)
        count: int | None = len(features)
    else:
        mean, covariance = _gaussian(arrays)
        count = _count(arrays)
    kept = {name: _numbers(arrays, key, dtype, axes) for name, (key, dtype, axes) in _KEPT.items() if key in arrays}
    if "features" in kept and kept["features"].shape[1] != len(mean):
        raise InputError(f"{_FEATURES} have {plural(kept['features'].shape[1], 'dimension')}, but mu has {len(mean)}")
    lengths = {_KEPT[name][0]: len(rows) for name, rows in kept.items()}
    if len(set(lengths.values())) > 1:
        lengths_text = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise InputError(f"its arrays are about different numbers of images: {lengths_text}")
    suffix, description, identity = (str(arrays[name]) if name in arrays else "" for name in _TEXTS)
    return Statistics(suffix, description, identity, count, mean, covariance, **kept)


def _gaussian(arrays: _Arrays) -> tuple[Tensor, Tensor]:
    """Return mean and covariance."""
    missing = [name for name in ("mu", "sigma") if name not in arrays]
    if missing:
        raise InputError(
            f"no statistics file: it has no {' and no '.join(missing)}, only {', '.join(arrays) or 'nothing'}"
        )
    mean, covariance = _numbers(arrays, "mu", np.float64, 1), _numbers(arrays, "sigma", np.float64, 2)
    if not len(mean) or covariance.shape != (len(mean), len(mean)):
        raise InputError(
            f"mu of shape {tuple(mean.shape)} and sigma of shape {tuple(covariance.shape)} do not belong "
            "together: expected (d,) and (d, d)"
        )
    if not is_symmetric(covariance):
        raise InputError("sigma is not symmetric: it is not a covariance")
    return mean, covariance


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and covariance, where a file holds features alone."""
    if len(features) < 2 or not features.shape[1]:
        raise InputError(f"{_FEATURES} of shape {tuple(features.shape)}: features of at least two images are needed")
    return mean_and_covariance(*sums(features))


def _count(arrays: _Arrays) -> int | None:
    """Return the number of images, if the file has it."""
    if "count" not in arrays:
        return None
    given = arrays["count"]
    if given.size != 1 or given.dtype.kind not in "iuf":
        raise InputError(f"count holds {given.dtype} of shape {given.shape}: expected one whole number")
    count = given.item()
    if count != count // 1 or count < 2:
        raise InputError(f"count is {count}: it must be a whole number, at least 2")
    return int(count)


def _numbers(arrays: _Arrays, name: str, dtype: npt.DTypeLike, axes: int) -> Tensor:
    """Return an array with this number of axes as a tensor of one type, in the machine's byte order."""
    given = arrays[name]
    whole = np.issubdtype(dtype, np.integer)
    if given.dtype.kind not in ("iu" if whole else "iuf"):
        raise InputError(f"{name} holds {given.dtype}: expected {'whole ' if whole else ''}numbers")
    if given.ndim != axes:
        raise InputError(f"{name} has the shape {given.shape}: expected {'one axis' if axes == 1 else 'two axes'}")
    if not np.isfinite(given).all():
        raise InputError(f"{name} holds numbers that are not finite")
    return torch.from_numpy(given.astype(dtype, copy=False))
