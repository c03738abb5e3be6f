"""Classes of texts as ids, with checks."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aigc.config.problems import suggest
from aigc.errors import InputError
from aigc.printing import plural

# Ids, names, or for predictions scores of each class.
Classes = Tensor | Sequence[str] | Sequence[int]


class Ids(NamedTuple):
    """Classes of texts."""

    ids: Tensor
    counted: Tensor


def check_labels(who: str, labels: Sequence[str]) -> list[str]:
    """Return the names of classes as a list; an InputError that names `who` where they are not valid."""
    if isinstance(labels, str) or not isinstance(labels, Sequence) or len(labels) < 2:
        raise InputError(f"{who}: labels is {labels!r}. Allowed: a list of at least two names.")
    seen: dict[str, int] = {}
    for index, label in enumerate(labels):
        if not isinstance(label, str):
            raise InputError(f"{who}: labels[{index}] is {label!r}, a name must be a text.")
        if label in seen:
            raise InputError(f"{who}: labels[{seen[label]}] and labels[{index}] are both {label!r}.")
        seen[label] = index
    return list(labels)


def reference_ids(references: Classes, labels: Sequence[str], ignore_index: int | None) -> Ids:
    """The right classes as ids.

    Args:
        references: An integer tensor of shape (texts,), or names, or integers in a list.
        labels: The names of the classes, in the order of their ids.
        ignore_index: The id of references that do not count.

    Returns:
        int64 of shape (texts,), and which of them count: bool of that shape.

    Raises:
        ValueError: The shape is another one, or there is no such class; the message says where.
        TypeError: There is something else than integers or names.
    """
    # A name that is none must not be taken for an ignored reference.
    given = _as_tensor("references", references, labels, unknown=-2 if ignore_index == -1 else -1)
    if given.ndim != 1 or not _whole(given):
        raise ValueError(f"references must be ids, integers of shape (texts,), or names of classes; got {_told(given)}")
    ids = given.long()
    counted = torch.ones_like(ids, dtype=torch.bool) if ignore_index is None else ids != ignore_index
    _check("references", references, ids, counted, labels)
    return Ids(ids, counted)


def prediction_ids(predictions: Classes, labels: Sequence[str], counted: Tensor) -> Tensor:
    """The predicted classes as ids.

    Args:
        predictions: What `reference_ids` takes, or a floating tensor of shape (texts, classes), of which the largest
            counts.
        labels: The names of the classes, in the order of their ids.
        counted: Which texts count, bool of shape (texts,); the others are ignored.

    Returns:
        int64 of shape (texts,), on the device of `counted`.

    Raises:
        ValueError: As for references; or the number of texts is another one, or a score is NaN.
        TypeError: As for references.
    """
    given = _as_tensor("predictions", predictions, labels, unknown=-1)
    scores = given.is_floating_point() and given.ndim == 2
    if not scores and (given.ndim != 1 or not _whole(given)):
        raise ValueError(
            "predictions must be ids, integers of shape (texts,), or scores of shape (texts, classes), "
            f"or names of classes; got {_told(given)}"
        )
    if len(given) != len(counted):
        raise ValueError(
            f"{plural(len(given), 'prediction')} but {plural(len(counted), 'reference')}: give as many of both"
        )
    if not scores:
        ids = given.long().to(counted.device)
        _check("predictions", predictions, ids, counted, labels)
        return ids
    if given.shape[1] != len(labels):
        raise ValueError(
            f"predictions have {plural(given.shape[1], 'score')} each, but there are {plural(len(labels), 'label')}"
        )
    unknown = given.isnan().any(dim=1).to(counted.device) & counted
    if unknown.any():
        raise ValueError(f"predictions[{_first(unknown)}] has a score that is NaN")
    return given.argmax(dim=1).to(counted.device)


def _as_tensor(what: str, classes: Classes, labels: Sequence[str], unknown: int) -> Tensor:
    """Convert names and lists to ids, `unknown` for an unknown name; return tensors and arrays as they are."""
    if isinstance(classes, Tensor | np.ndarray):
        return torch.as_tensor(classes)
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        raise TypeError(f"{what} must be a tensor or a list of names, got {classes!r}")
    known = {label: index for index, label in enumerate(labels)}
    given: Sequence[Any] = classes
    ids = []
    for index, each in enumerate(given):
        if isinstance(each, str):
            ids.append(known.get(each, unknown))
        elif isinstance(each, bool) or not isinstance(each, Integral):
            raise TypeError(f"{what}[{index}] must be the name of a class or its id, got {each!r}")
        else:
            ids.append(int(each))
    return torch.tensor(ids, dtype=torch.int64)


def _check(what: str, given: Any, ids: Tensor, counted: Tensor, labels: Sequence[str]) -> None:
    """Raise ValueError where a counted id is not a class; the message names what was given."""
    wrong = counted & ((ids < 0) | (ids >= len(labels)))
    if not wrong.any():
        return
    index = _first(wrong)
    if isinstance(given[index], str):
        raise ValueError(f"{what}[{index}] is {given[index]!r}, which is not a label: {suggest(given[index], labels)}")
    most = len(labels) - 1
    raise ValueError(
        f"{what}[{index}] is {int(ids[index])}, but the ids of {plural(len(labels), 'label')} are 0 to {most}"
    )


def _whole(given: Tensor) -> bool:
    return not given.is_floating_point() and not given.is_complex() and given.dtype != torch.bool


def _first(mask: Tensor) -> int:
    return int(mask.nonzero()[0])


def _told(given: Tensor) -> str:
    return f"{str(given.dtype).removeprefix('torch.')} of shape {tuple(given.shape)}"
