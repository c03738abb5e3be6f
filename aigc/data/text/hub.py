"""Data sets of the `datasets` library: saved in a folder, or by name from the Hugging Face Hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets

from aigc.data.text.corpus import Source, digest_files
from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats.base import missing_column, pick, without_nulls
from aigc.errors import InputError


class DatasetSource(Source):
    """A `datasets.Dataset`.

    Args:
        name: Its name in messages.
        dataset: Its rows.
        fingerprint: A hash of its content.
    """

    def __init__(self, name: str, dataset: Any, fingerprint: str) -> None:
        self.name = name
        self.dataset = dataset
        self._fingerprint = fingerprint

    def fingerprint(self) -> str:
        """The hash of the content."""
        return self._fingerprint

    def columns(self) -> list[str] | None:
        """The columns."""
        return list(self.dataset.column_names)

    def examples(self, layout: Layout) -> Iterator[Example]:
        """The examples in the order of the rows.

        Raises:
            InputError: A column is missing, or a value is not a string.
        """
        for column in layout.columns:
            if column not in self.dataset.column_names:
                raise missing_column(column, self.dataset.column_names, self.name, layout)
        rows = self.dataset.select_columns(layout.present(self.dataset.column_names))
        for number, row in enumerate(rows, 1):
            yield layout.example(without_nulls(pick(row, layout, f"{self.name}, row {number}")))


def open_saved(name: str, folder: Path) -> DatasetSource:
    """A folder written by `save_to_disk`; of several splits, `train`.

    Raises:
        InputError: The folder is damaged or holds no split to train on.
    """
    try:
        dataset = _training_split(name, datasets.load_from_disk(str(folder)))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{name}: not a whole saved data set: {first_line(error)}.") from error
    # The fingerprint that `datasets` stores differs between two saves of the same rows: hash the rows' files instead.
    arrows = {Path(entry["filename"]).name: Path(entry["filename"]) for entry in dataset.cache_files}
    return DatasetSource(name, dataset, digest_files(dict(sorted(arrows.items()))))


def open_hub(name: str, hint: str = "") -> DatasetSource:
    """A data set of the Hub, from the local cache where it is there already; of several splits, `train`.

    Args:
        name: `owner/name` or `name`.
        hint: What else may have been meant, for the message.

    Raises:
        InputError: There is no such data set, or it cannot be reached.
    """
    try:
        dataset = datasets.load_dataset(name, download_config=datasets.DownloadConfig(max_retries=1))
    except Exception as error:  # the Hub's client raises its transport's own errors too
        raise InputError(
            f"{name}: no such file or folder, and no such data set could be loaded from the Hub.{hint}{refused(error)}"
        ) from error
    split = _training_split(name, dataset)
    return DatasetSource(name, split, f"datasets:{split._fingerprint}")


def _training_split(name: str, dataset: Any) -> Any:
    """The only split, or the one called `train`."""
    if not isinstance(dataset, dict):
        return dataset
    if len(dataset) == 1:
        return next(iter(dataset.values()))
    if "train" not in dataset:
        raise InputError(
            f"{name}: several splits and none is called 'train': {', '.join(dataset)}. Save the one you want."
        )
    return dataset["train"]


def refused(error: Exception) -> str:
    """Return why the Hub gave nothing, for the end of a message."""
    offline = " The Hub is switched off (HF_HUB_OFFLINE)." if datasets.config.HF_HUB_OFFLINE else ""
    return f"{offline} ({type(error).__name__}: {first_line(error)})"


def first_line(error: Exception) -> str:
    """The first line of an error's message, without its full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
