"""Labels in `dataset.json`, which StyleGAN's tools put beside images."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from aigc.data.images.arrays import numbered
from aigc.data.images.base import Labels
from aigc.data.progress import log_once
from aigc.errors import InputError
from aigc.printing import plural

NAME = "dataset.json"
MOST_BYTES = 1 << 28
"""A table for some millions of images."""
_DEPTH = 2
"""How many parts the path of the file has at most: archives often hold one folder."""
_FORM = 'a list like [["a.png", 0], ["b.png", 1]], or null where the images have none'
_OR_ELSE = f"or rename the file if it is not meant as StyleGAN's {NAME}"
_SHOWN = 3
_LONGEST = 40


class FileLabels(NamedTuple):
    """What a file says of the images beside it.

    Attributes:
        labels: From 0 on; None where it says that there are none.
        classes: The original numbers, as names of the classes.
    """

    labels: Labels | None = None
    classes: tuple[str, ...] = ()


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with its repeated keys."""


def is_label_file(path: str) -> bool:
    """Whether a file may hold labels, by its path."""
    return PurePosixPath(path).name == NAME and path.count("/") < _DEPTH


def labels_of(name: str, content: bytes, paths: Sequence[str]) -> FileLabels | None:
    """Return the labels of images.

    Labels are whole numbers, or vectors of zeros with a one in the place of the class. Other vectors are conditions
    that are no classes, such as positions of a camera; they are logged and give no labels.

    Args:
        name: The file in messages.
        content: Its bytes.
        paths: The paths of the images below the file's folder.

    Returns:
        None if it is a file of another kind, or names none of the images, which is logged.

    Raises:
        InputError: It is damaged, labels only some of the images, or has other labels.
    """
    given = _given(name, content)
    if not given:
        return None
    if given[-1] is None:
        return FileLabels()
    table = _table(name, given[-1])
    missing = [path for path in paths if path not in table]
    if len(missing) == len(paths):
        images = plural(len(paths), "image")
        log_once(f"{name}: it names none of {images}, such as {paths[0]}, and is not used for labels")
        return None
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        what = f"{len(missing):,} of {plural(len(paths), 'image')} have no label in it: {shown}"
        raise InputError(f"{name}: {what}. Add their labels or take the images away, {_OR_ELSE}.")
    return _numbered(name, table, paths)


def _given(name: str, content: bytes) -> list[Any]:
    """Return what a file gives as `labels`; nothing if it is not an object with this key."""
    try:
        document = json.loads(content, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        what = "is larger than such files are" if len(content) > MOST_BYTES else f"is not JSON: {error}"
        raise InputError(f"{name}: it {what}. Copy it again, {_OR_ELSE}.") from error
    return [value for key, value in document if key == "labels"] if isinstance(document, _Pairs) else []


def _table(name: str, given: Any) -> Mapping[str, Any]:
    """Return the label of each path, which may be written with backslashes."""
    table: dict[str, Any] = {}
    for path, label in _pairs(name, given):
        path = path.replace("\\", "/")
        if path in table and table[path] != label:
            what = f"{path} has two labels, {_shown(table[path])} and {_shown(label)}"
            raise InputError(f"{name}: {what}. Keep the right one, {_OR_ELSE}.")
        table[path] = label
    return table


def _pairs(name: str, given: Any) -> Iterator[tuple[str, Any]]:
    """Yield paths with their labels; none from a list without any, as the names of classes in another tool's file."""
    listed = given if isinstance(given, list) else [given]
    if isinstance(given, list) and not any(isinstance(one, list | tuple) for one in listed):
        return
    for one in listed:
        if not isinstance(one, list | tuple) or len(one) != 2 or not isinstance(one[0], str):
            what = f"labels: {_shown(one)} where a path with its label is needed"
            raise InputError(f"{name}: {what}. Give {_FORM}, {_OR_ELSE}.")
        yield one[0], one[1]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _numbered(name: str, table: Mapping[str, Any], paths: Sequence[str]) -> FileLabels:
    found = [_class_of(table[path]) for path in paths]
    if None not in found:
        return FileLabels(*numbered(np.array(found)))
    path = paths[found.index(None)]
    if not _is_vector(table[path]):
        what = f"the label of {path} is {_shown(table[path])}, neither a whole number nor a vector of numbers"
        raise InputError(f"{name}: {what}. Number the classes, {_OR_ELSE}.")
    log_once(f"{name}: the labels, such as that of {path}, are vectors and not classes; left out", logging.WARNING)
    return FileLabels()


def _class_of(label: object) -> int | None:
    if isinstance(label, list):
        raised = [place for place, value in enumerate(label) if value != 0]
        return raised[0] if len(raised) == 1 and label[raised[0]] == 1 else None
    return label if isinstance(label, int) and not isinstance(label, bool) else None


def _is_vector(label: object) -> bool:
    return isinstance(label, list) and all(isinstance(value, int | float) for value in label)
