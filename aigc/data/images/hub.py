"""Images in data sets of the `datasets` library: saved in a folder, or by name from the Hugging Face Hub."""

import logging
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from huggingface_hub.constants import HF_HUB_CACHE

from aigc.data.images.arrays import numbered
from aigc.data.images.base import ImageArray, Images
from aigc.data.images.decode import Alpha, decode
from aigc.data.text.hub import DatasetSource, open_hub, open_saved
from aigc.errors import InputError

_log = logging.getLogger("aigc")


class DatasetImages(Images):
    """The images of a `datasets.Dataset`: the column `image`, or the only one of images.

    Classes are those of the column `label`, or of the only one of class labels; each image is known by the
    fingerprint of the data set and its number.

    Args:
        name: Its name in messages.
        reopen: Opens the data set as it is now.
        roots: Folders that images may lie in which are files beside the data set and not part of it.
        alpha: How transparency is treated.

    Raises:
        InputError: There is no column of images, or there are several.
    """

    def __init__(self, name: str, reopen: Callable[[], DatasetSource], roots: Sequence[Path], alpha: Alpha) -> None:
        self.name = name
        self.alpha = alpha
        self._reopen = reopen
        self._roots = [root.resolve() for root in roots]
        source = reopen()
        self._fingerprint = source.fingerprint()
        features = source.dataset.features
        column = _column(features, "image", datasets.Image)
        if column is None or not isinstance(features[column], datasets.Image):
            columns = ", ".join(f"{column} ({type(kind).__name__})" for column, kind in features.items())
            raise InputError(f"{name}: needed is a column 'image', or one alone of type Image; columns: {columns}.")
        self._column = column
        self._rows = source.dataset.select_columns([column]).cast_column(column, datasets.Image(decode=False))
        if label := _column(features, "label", datasets.ClassLabel):
            self._take_labels(label, features[label], _values(source.dataset, label))

    def __len__(self) -> int:
        return len(self._rows)

    def name_of(self, index: int) -> str:
        """Return the set's name and the number of the row, from 1."""
        return f"{self.name}, row {index + 1}"

    def read(self, index: int) -> ImageArray:
        """Decode the image of a row."""
        found = self._rows[index][self._column]
        if not found or (found["bytes"] is None and not found["path"]):
            raise InputError(f"{self.name_of(index)}: there is no image.")
        content = found["bytes"]
        return decode(self._file(index, found["path"]) if content is None else content, self.name_of(index), self.alpha)

    def _take_labels(self, column: str, kind: Any, values: list[Any]) -> None:
        """Take labels of any kind that names classes; others are logged and left out."""
        named = isinstance(kind, datasets.ClassLabel)
        if named and all(value is not None and value >= 0 for value in values):
            self.labels, self.classes = np.array(values, np.int64), tuple(kind.names)
        elif not named and any(all(isinstance(value, one) for value in values) for one in (int, str)):
            self.labels, self.classes = numbered(np.array(values))
        else:
            _log.warning(
                "%s: '%s' does not have a label for each image but %s, and is left out", self.name, column, kind
            )

    def _file(self, index: int, path: str) -> bytes:
        """Read a file that a row names, inside the set alone: a row could name any file of this machine."""
        file = Path(path).resolve()
        if not any(file.is_relative_to(root) for root in self._roots):
            what = f"its image is a file elsewhere, {path}. Save the data set with the images in it."
            raise InputError(f"{self.name_of(index)}: {what}")
        if not file.is_file():  # reading a pipe would wait for ever
            raise InputError(f"{self.name_of(index)}: there is no file {path}.")
        try:
            return file.read_bytes()
        except OSError as error:
            raise InputError(f"{self.name_of(index)}: {path} cannot be read: {error.strerror}.") from error

    @cached_property
    def hashes(self) -> list[str]:
        """Those of the data set as it was opened."""
        return self._hashes(self._fingerprint)

    def _hash_all(self) -> list[str]:
        return self._hashes(self._reopen().fingerprint())

    def _hashes(self, fingerprint: str) -> list[str]:
        ground = "" if self.alpha == "drop" else f" on {self.alpha}"
        return [f"{fingerprint} {index}{ground}" for index in range(len(self))]


def open_saved_images(name: str, folder: Path, alpha: Alpha = "drop") -> DatasetImages:
    """Open a folder written by `save_to_disk`; of several splits, `train`. Errors as of `DatasetImages`."""
    return DatasetImages(name, lambda: open_saved(name, folder), [folder], alpha)


def open_hub_images(where: str, name: str, alpha: Alpha = "drop") -> DatasetImages:
    """Open a data set of the Hub, from the local cache where it is there; of several splits, `train`.

    Args:
        where: Its name in messages.
        name: `owner/name` or `name`.
        alpha: How transparency is treated.

    Raises:
        InputError: There is no such data set, it cannot be reached, or it holds no images.
    """
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise InputError(f"{where}: after hub: stands the name of a data set, as in hub:ylecun/mnist.")
    caches = [Path(HF_HUB_CACHE), Path(datasets.config.HF_DATASETS_CACHE)]
    return DatasetImages(where, lambda: open_hub(name), caches, alpha)


def _values(dataset: Any, column: str) -> list[Any]:
    """Return a whole column, without the others."""
    return list(dataset.select_columns([column]).with_format("arrow")[:][column].to_pylist())


def _column(features: Any, name: str, kind: type) -> str | None:
    """Return the column of that name, or the only one of that kind."""
    of_kind = [column for column, feature in features.items() if isinstance(feature, kind)]
    if name in features:
        return name
    return str(of_kind[0]) if len(of_kind) == 1 else None
