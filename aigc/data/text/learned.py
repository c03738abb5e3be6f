"""What an objective learns of its training examples, such as the names of classes; it belongs to the model."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aigc.data.text.examples import Example
from aigc.data.text.objectives.base import Objective
from aigc.errors import InputError

_SHOWN = 300
"""Characters of what a model has learned that a message shows."""


class LearnedElse(Exception):
    """The examples teach the objective something else than the model knows."""


def learn(objective: Objective, sample: Sequence[Example], known: Mapping[str, Any]) -> dict[str, Any]:
    """Fit an objective to training examples.

    Args:
        objective: The objective.
        sample: The examples.
        known: What it has learned for a model that these data are for; empty without one.

    Raises:
        LearnedElse: The result is not `known`.
        InputError: The examples cannot be used.
    """
    try:
        learned: dict[str, Any] = json.loads(json.dumps(objective.fit(sample)))  # as it is when it is read again
    except ValueError as error:
        if known:
            raise LearnedElse from error
        raise InputError(f"data.objective: {error}") from error
    if known and learned != known:
        raise LearnedElse
    return learned


def beyond(known: Mapping[str, Any], error: InputError) -> InputError:
    """Return the error of an example that a model's objective does not cover, with what the model knows."""
    whole = json.dumps(known, ensure_ascii=False)
    shown = whole if len(whole) <= _SHOWN else whole[:_SHOWN] + " ..."
    return InputError(
        f"{error}. The model was trained with {shown}, in this order: give data with no others, or train a new model"
    )
