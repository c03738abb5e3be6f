"""Statistics as .npz files, in the layout that pytorch-fid and clean-fid read: mu and sigma, and more for us."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aigc.errors import InputError
from aigc.metrics.image.statistics import Statistics
from aigc.runs.files import retrying, write_atomic

_ARRAYS = {"indices": "indices", "features": "feats", "logits": "logits"}
"""What is kept of the images, and its name in a file; clean-fid calls features so."""
_TEXTS = ("suffix", "description", "identity")


def write_statistics(path: Path, statistics: Statistics) -> None:
    """Write a file, whole or not at all."""
    arrays: dict[str, Any] = {"mu": statistics.mean.numpy(), "sigma": statistics.covariance.numpy()}
    arrays |= {name: np.array(getattr(statistics, name)) for name in _TEXTS}
    if statistics.count is not None:
        arrays["count"] = np.array(statistics.count)
    for name, key in _ARRAYS.items():
        kept: Tensor | None = getattr(statistics, name)
        if kept is not None:
            arrays[key] = kept.numpy()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    retrying(lambda: write_atomic(path, buffer.getvalue()), f"write {path}")


def is_statistics(path: Path) -> bool:
    """Whether a file holds statistics, and no pictures."""
    try:
        with zipfile.ZipFile(path) as file:
            return {"mu.npy", "sigma.npy"} <= set(file.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read_statistics(path: Path) -> Statistics:
    """Read a file of this project's, pytorch-fid's or clean-fid's.

    The latter two do not say which network made them, nor of how many images.

    Raises:
        InputError: The file cannot be read, or what it holds are no statistics.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{path}: cannot be read as a statistics file (.npz with mu and sigma): {error}") from error
    if "feats" in arrays and arrays["feats"].ndim == 2 and "mu" not in arrays:  # clean-fid's for kernel distance
        total, features = len(arrays["feats"]), arrays["feats"].astype(np.float64)
        arrays |= {"mu": features.mean(axis=0), "sigma": np.cov(features, rowvar=False), "count": np.array(total)}
    missing = [name for name in ("mu", "sigma") if name not in arrays]
    if missing:
        raise InputError(f"{path}: no statistics file: it has no {' and no '.join(missing)}, only {', '.join(arrays)}")
    mean, covariance = (torch.from_numpy(np.asarray(arrays[name], dtype=np.float64)) for name in ("mu", "sigma"))
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise InputError(
            f"{path}: mu of shape {tuple(mean.shape)} and sigma of shape {tuple(covariance.shape)} do not belong "
            "together: expected (d,) and (d, d)"
        )
    if not (bool(torch.isfinite(mean).all()) and bool(torch.isfinite(covariance).all())):
        raise InputError(f"{path}: mu or sigma holds numbers that are not finite")
    suffix, description, identity = (str(arrays[name]) if name in arrays else "" for name in _TEXTS)
    kept = {name: torch.from_numpy(arrays[key]) for name, key in _ARRAYS.items() if key in arrays}
    count = int(arrays["count"]) if "count" in arrays else None
    return Statistics(suffix, description, identity, count, mean, covariance, **kept)
