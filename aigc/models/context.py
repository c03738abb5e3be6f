"""The longest row of tokens that a language model can see, and data that fit it; nothing here imports torch at once."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aigc.errors import InputError
from aigc.models.pretrained import local_folder
from aigc.models.rope import NAME, extended

if TYPE_CHECKING:
    from transformers import PretrainedConfig

KEY = "data.sequence_length"
_NAMES = ("max_position_embeddings", "n_positions")
"""What configurations call it; those of Transformers translate the first one."""

WITHOUT_WEIGHTS = "an adapter changes pretrained weights, which are frozen: give model.path, or set it to null"
WITHOUT_ADAPTER = "weights in 4 or 8 bits are frozen: choose an adapter, as adapter=lora, or set it to null"
VIRTUAL = "aigc_virtual_tokens"
"""What a configuration calls the number of positions that an adapter takes."""


def context_length(config: "PretrainedConfig") -> int | None:
    """Return the most tokens that a model can see at once; None when its configuration names no limit."""
    limit = getattr(config, _NAMES[0], None)
    return extended(int(limit), getattr(config, NAME, None)) - getattr(config, VIRTUAL, 0) if limit else None


def packing_problem(config: "PretrainedConfig", packing: bool) -> str | None:
    """Return why rows may not hold several documents; None where they may, or do not."""
    number = getattr(config, VIRTUAL, 0)
    if not number or not packing:
        return None
    return f"rows of several documents cannot begin with the {number} virtual tokens of an adapter; set it to false"


def too_long(length: int, context: int) -> str:
    """Say that rows are longer than a model can see."""
    return f"{length} is longer than the model's context of {context} tokens; set it to {context} at most"


def context_problems(model: Mapping[str, Any], data: Mapping[str, Any], files: bool) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of rows or of an adapter that do not fit a model, as far as the config says.

    Args:
        model: The node of a language model.
        data: The node of its data.
        files: Whether the config.json of a pretrained model is read, where it lies in a folder.
    """
    length, path = data.get("sequence_length"), model.get("path")
    if model.get("adapter") is not None and path is None:
        yield "model.adapter", WITHOUT_WEIGHTS
    if model.get("quantised") is not None and model.get("adapter") is None:
        yield "model.quantised", WITHOUT_ADAPTER
    settings = model.get("settings") or {}
    where, found = "model.settings.", _named(settings)
    if found is None and files and isinstance(path, str):
        where, found = f"{path}/config.json: ", _named(_read(path), settings.get(NAME))
    if found is not None and type(length) is int and length > found[1]:
        yield KEY, f"{too_long(length, found[1])} ({where}{found[0]})"


def _named(settings: object, scaling: object = None) -> tuple[str, int] | None:
    """Return the limit of a configuration, with the name that it has there.

    Args:
        settings: The configuration.
        scaling: Rotary parameters that are set in it.
    """
    if not isinstance(settings, Mapping):
        return None
    own = settings.get(NAME) or settings.get("rope_scaling")  # that of older versions of Transformers
    both = {**(own if isinstance(own, Mapping) else {}), **(scaling if isinstance(scaling, Mapping) else {})}
    named = ((name, settings[name]) for name in _NAMES if type(settings.get(name)) is int)
    return next(((name, extended(limit, both)) for name, limit in named), None)


def _read(path: str) -> object:
    """Return the configuration in a model's folder; None where it cannot be read, which its loading reports."""
    try:
        folder = local_folder(path)
        return json.loads((folder / "config.json").read_bytes()) if folder else None
    except (InputError, OSError, ValueError, RecursionError):
        return None
