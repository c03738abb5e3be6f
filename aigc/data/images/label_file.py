"""Labels in `dataset.json`, which StyleGAN's tools put beside images."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from aigc.data.images.arrays import numbered
from aigc.data.images.base import Labels
from aigc.data.progress import log_once

NAME = "dataset.json"
MOST_BYTES = 1 << 28
"""A table for some millions of images."""
_DEPTH = 2
"""How many parts the path of the file has at most: archives often hold one folder."""


def is_label_file(path: str) -> bool:
    """Whether a file may hold labels, by its path."""
    return PurePosixPath(path).name == NAME and path.count("/") < _DEPTH


def read_label_file(content: bytes) -> Mapping[str, Any] | None:
    """Return the label of each image by its path below the file's folder.

    Returns:
        None if the file is no such table; an empty mapping if it says that there are no labels.
    """
    try:
        labels = json.loads(content)["labels"]
        return {} if labels is None else {str(path).replace("\\", "/"): label for path, label in dict(labels).items()}
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def labels_of(
    name: str, table: Mapping[str, Any], paths: Sequence[str]
) -> tuple[Labels, tuple[str, ...]] | tuple[None, tuple[()]]:
    """Return labels from 0 on, and the original numbers as the names of the classes.

    Labels are whole numbers, or vectors of zeros with a one in the place of the class. A table without a label for each
    image, or with other labels, is logged and gives none.

    Args:
        name: The file in messages.
        table: The labels by path.
        paths: The paths of the images below the file's folder.
    """
    if not table:
        return None, ()
    missing = [path for path in paths if path not in table]
    if missing:
        what = f"{len(missing):,} of {len(paths):,} images are not in it, such as {missing[0]}"
    else:
        found = [_class_of(table[path]) for path in paths]
        if None not in found:
            return numbered(np.array(found))
        what = f"the label of {paths[found.index(None)]} is neither a whole number nor one-hot"
    log_once(f"{name}: {what}; its labels are left out", logging.WARNING)
    return None, ()


def _class_of(label: object) -> int | None:
    if isinstance(label, list):
        raised = [place for place, value in enumerate(label) if value != 0]
        return raised[0] if len(raised) == 1 and label[raised[0]] == 1 else None
    return label if isinstance(label, int) and not isinstance(label, bool) else None
