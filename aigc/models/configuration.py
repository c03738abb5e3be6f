"""Configurations of Transformers: of a model type, or of pretrained weights, with the settings of a config in them."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pickle import UnpicklingError
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig

from aigc.config.problems import ConfigError, Problem, suggest
from aigc.errors import InputError, is_out_of_memory
from aigc.models.gguf_files import gguf_file, readable_architectures
from aigc.models.pretrained import loading_from, local_folder, weights_problem
from aigc.models.rope import NAME as ROPE
from aigc.models.rope import scale_positions


def of_weights(path: str) -> Any:
    """Return the configuration of pretrained weights; code that comes with it is never run.

    Raises:
        ConfigError: The path cannot hold weights.
        InputError: The configuration cannot be read.
    """
    if problem := weights_problem(path):
        raise ConfigError([Problem("model.path", problem)])
    with reading(path):
        file = gguf_file(path)
        return copy.deepcopy(_of_gguf(path, file.stat().st_mtime_ns)) if file else _read(path)


@lru_cache(maxsize=2)
def _of_gguf(path: str, changed: int) -> Any:
    """Return the configuration in a GGUF file, whose vocabulary takes seconds to read."""
    try:
        return _read(path)
    except (ValueError, NotImplementedError) as error:
        raise ValueError(f"{error} Transformers reads {', '.join(readable_architectures())}") from error


def _read(path: str) -> Any:
    return AutoConfig.from_pretrained(**loading_from(path), trust_remote_code=False)


def of_architecture(name: str, known: list[str]) -> Any:
    """Return the configuration of a model type with its defaults.

    Args:
        name: The model type.
        known: Those that there are, for the message.

    Raises:
        ConfigError: There is no such type.
    """
    try:
        return AutoConfig.for_model(name)
    except ValueError as error:
        what = f"no architecture {name!r}; {suggest(name, known)}"
        raise ConfigError([Problem("model.architecture", what)]) from error


def with_values(name: str, values: Mapping[str, Any]) -> Any:
    """Return the configuration of a model type with values by Transformers' names, those of `model.settings` last.

    Raises:
        ConfigError: They are refused.
    """
    # GPT-2 calls max_position_embeddings n_positions, say: one name for each.
    alias = AutoConfig.for_model(name).attribute_map
    with refusing(name):
        return AutoConfig.for_model(name, **{alias.get(one, one): value for one, value in values.items()})


def set_settings(config: Any, settings: Mapping[str, Any]) -> None:
    """Set the settings of a config in a configuration.

    Raises:
        ConfigError: Lists all that it does not take.
    """
    known = [*config.to_dict(), *config.attribute_map, "num_labels"]
    problems = [
        Problem(
            f"model.settings.{name}",
            f"{type(config).__name__} has no {name!r}; {suggest(name, known, most=4)}; if it was meant for another "
            f"architecture, leave it out: ~model.settings.{name}",
        )
        for name in settings
        if name not in known
    ]
    for name, value in settings.items():
        if name == ROPE and name in known:
            reach = "max_position_embeddings" not in settings
            problems += [Problem(f"model.settings.{name}", what) for what in scale_positions(config, value, reach)]
            continue
        try:  # under a field's own name, as an alias of it is not checked
            setattr(config, config.attribute_map.get(name, name), value)
        except StrictDataclassError as error:
            problems.append(Problem(f"model.settings.{name}", str(error).splitlines()[-1].strip()))
    if problems:
        raise ConfigError(problems)


@contextmanager
def refusing(name: str | None) -> Iterator[None]:
    """Report values that a configuration or its model refuses.

    Args:
        name: The model type; None where the configuration is that of pretrained weights.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, AssertionError, StrictDataclassError) as error:
        key = "model.settings" if name else "model.path"
        what = f"{name or 'the configuration'} refuses this: {str(error).strip()}"
        raise ConfigError([Problem(key, " ".join(what.split()))]) from error


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Report pretrained weights that cannot be read.

    Args:
        path: The folder, or the name on the Hub.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError, EOFError, UnpicklingError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        what = (
            "its weights cannot be read"
            if local_folder(path) or gguf_file(path)
            else "no such folder, nor a model that the Hub has now"
        )
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"model.path={path}: {what}: {reason}") from error
