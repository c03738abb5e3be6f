"""The `_target_` nodes of a config."""

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig

from aigc.config import schema
from aigc.config.class_sources import TargetError
from aigc.config.targets import is_subclass, signature
from aigc.config.types import Parameter, Slot


def all_nodes(cfg: DictConfig) -> Iterator[tuple[str, Any, Slot]]:
    """Yield every node in a slot with its full key and that slot; nodes inside others too.

    Raises:
        TargetError: A slot holds something else, or names a class that does not exist or is of another base.
        OmegaConfBaseException: An interpolation cannot be resolved.
    """
    for key, slot in schema.slots().items():
        yield from _nodes(key, cfg.get(key), slot)


def _nodes(key: str, value: Any, slot: Slot) -> Iterator[tuple[str, Any, Slot]]:
    named = slot.named and isinstance(value, Mapping)
    nodes = {f"{key}.{name}": node for name, node in value.items()} if named else {key: value}
    for path, node in nodes.items():
        if node is None:
            continue
        target = node.get("_target_") if isinstance(node, Mapping) else None
        if not isinstance(target, str) or is_subclass(target, slot.expect) is False:
            raise TargetError(f"{path} is not a node of {slot.expect}")
        parameters = signature(target).parameters
        yield path, node, slot
        for name, parameter in parameters.items():
            if parameter.slot and isinstance(inner := node.get(name), Mapping):
                yield from _nodes(f"{path}.{name}", inner, parameter.slot)


def parameters_in(target: str, slot: Slot | None) -> dict[str, Parameter]:
    """Return the parameters that a node of a class may set in a slot.

    Raises:
        TargetError: As `find_class`.
    """
    known = signature(target).parameters
    if slot is None:
        return known
    extra = {key.name: key for base, key in slot.extra if is_subclass(target, base)}
    return {name: one for name, one in known.items() if name not in slot.supplied} | extra
