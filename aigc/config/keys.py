"""The keys that a config may set, for help and for what is searched."""

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from aigc.config import schema
from aigc.config.check import find_problems
from aigc.config.class_sources import TargetError
from aigc.config.nodes import all_nodes, parameters_in
from aigc.config.problems import ConfigError
from aigc.config.targets import class_attribute
from aigc.config.types import Fields, Parameter, Slot, union_options


def known_keys(cfg: DictConfig) -> dict[str, Parameter]:
    """Return every key that a config may set; nodes contribute the parameters of their targets.

    Raises:
        ConfigError: A node is wrong, so that its parameters are not known.
    """
    sections, slots = schema.sections(), schema.slots()
    keys: dict[str, Parameter] = {}
    for key, parameter in schema.fields_of(schema.Config).parameters.items():
        if key in sections:
            keys |= _below(key, sections[key].parameters)
        elif key not in slots:
            keys[key] = parameter
    for path, node, slot in _all_nodes(cfg):
        keys |= _below(path, parameters_in(node["_target_"], slot))
    return keys


def often_changed_keys(cfg: DictConfig) -> Iterator[str]:
    """Yield the keys that the classes of a config's nodes name in `often_changed`, for help.

    Raises:
        ConfigError: As `known_keys`.
    """
    for path, node, _ in _all_nodes(cfg):
        yield from (f"{path}.{name}" for name in class_attribute(node["_target_"], "often_changed") or ())


def _all_nodes(cfg: DictConfig) -> Iterator[tuple[str, Any, Slot]]:
    try:
        yield from all_nodes(cfg)
    except (TargetError, OmegaConfBaseException) as error:
        raise ConfigError(find_problems(cfg)) from error


def _below(key: str, parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Return parameters under their full keys; those of nested dataclasses too."""
    keys: dict[str, Parameter] = {}
    for name, parameter in parameters.items():
        keys[f"{key}.{name}"] = parameter
        for option in (parameter.type, *union_options(parameter.type)):
            if isinstance(option, Fields):
                keys |= _below(f"{key}.{name}", option.parameters)
    return keys
