"""Rotary position embeddings that reach further than the model was trained for; nothing here imports torch at once."""

from collections.abc import Iterator, Mapping
from typing import Any

NAME = "rope_parameters"
"""What configurations of Transformers 5 call them, and so does `model.settings`."""

_KEPT = ("rope_theta", "partial_rotary_factor", "original_max_position_embeddings")
"""What stays of the model's own parameters under another kind of scaling."""
_FULL = "full_attention"
_BY_LENGTH = "dynamic"
"""The kind that compares a row with `max_position_embeddings`, which must stay that of the training."""


def extended(limit: int, parameters: object) -> int:
    """Return how many positions a model has with its rotary parameters.

    Args:
        limit: Its `max_position_embeddings`.
        parameters: Its `rope_parameters`, or one such mapping for each kind of layer.
    """
    if not isinstance(parameters, Mapping):
        return limit
    nested = [extended(limit, inner) for inner in parameters.values() if isinstance(inner, Mapping)]
    factor, original = parameters.get("factor"), parameters.get("original_max_position_embeddings") or limit
    own = int(original * factor) if isinstance(factor, int | float) and isinstance(original, int | float) else limit
    return max([limit, own, *nested])


def scale_positions(config: Any, given: object, reach: bool) -> Iterator[str]:
    """Set rotary parameters in the configuration of pretrained weights; yield what is wrong with them.

    What is not given, such as the base of the frequencies, stays the model's own. Where kinds of layers have their own
    parameters, those without the name of a kind are for the layers that see everything.

    Args:
        config: The configuration, which is changed.
        given: `model.settings.rope_parameters`.
        reach: Whether the configuration gets the positions that there are then.
    """
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    if not isinstance(given, Mapping):
        yield "it is a mapping, such as {rope_type: yarn, factor: 4.0}"
        return
    own = dict(getattr(config, NAME, None) or {})
    kinds = [name for name, inner in own.items() if isinstance(inner, Mapping)]
    changes = {_FULL if _FULL in kinds else kinds[0]: given} if kinds and not {*given} <= {*kinds} else given
    made = own | {name: _merged(own[name], changes[name]) for name in changes} if kinds else _merged(own, given)
    before = config.max_position_embeddings
    parts = [made[name] for name in kinds] if kinds else [made]
    for one in parts:
        kind, factor = one.setdefault("rope_type", "default"), one.get("factor", 1.0)
        if kind not in {"default", *ROPE_INIT_FUNCTIONS}:
            yield f"no rope_type {kind!r}; there are {', '.join(sorted({'default', *ROPE_INIT_FUNCTIONS}))}"
            return
        if not isinstance(factor, int | float) or isinstance(factor, bool) or factor < 1:
            yield f"factor={factor} is not a number of at least 1"
            return
        if kind in ("llama3", "yarn", "longrope"):
            one.setdefault("original_max_position_embeddings", before)
    try:
        setattr(config, NAME, made)
        if reach and not any(one["rope_type"] == _BY_LENGTH for one in parts):
            config.max_position_embeddings = extended(before, made)
        config.validate_rope()
    except (KeyError, ValueError, TypeError) as error:
        yield " ".join(str(error.args[0] if error.args else error).split())


def _merged(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    same = given.get("rope_type", own.get("rope_type")) == own.get("rope_type")
    return {name: value for name, value in own.items() if same or name in _KEPT} | dict(given)
