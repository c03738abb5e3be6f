"""Keys that belong to what a config no longer uses: another choice of a group, or another class of a node."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from omegaconf import DictConfig, Node

from aigc.config.class_sources import TargetError
from aigc.config.schema import slots
from aigc.config.targets import signature
from aigc.config.trust import is_trusted
from aigc.config.types import MISSING, mismatches


class Replaced(NamedTuple):
    """A slot whose choice was typed, in place of the one that the config has without it.

    Attributes:
        choice: What was typed, as `scheduler=linear`.
        before: The content of the slot without it.
    """

    choice: str
    before: Any


def left_out(slot: str, before: Any, now: Any, experiment: Mapping[Any, Any]) -> list[str]:
    """Return the keys of an experiment's section that belong to the replaced choice, as `warmup_steps` or `a.b`.

    Args:
        slot: The section.
        before: The section with the replaced choice.
        now: The section as the files of the typed choice make it.
        experiment: What the experiment sets in this section.
    """
    before, now = _mapping(before), _mapping(now)
    if slot not in slots() or not slots()[slot].named:
        return _of_node(before, now, experiment)
    keys = []
    for name, node in experiment.items():
        if not isinstance(node, Mapping):
            continue
        if name in now:
            keys += [f"{name}.{key}" for key in _of_node(_mapping(before.get(name)), _mapping(now[name]), node)]
        elif "_target_" not in node:
            keys.append(str(name))
    return keys


def written_target(node: DictConfig) -> str | None:
    """Return the class that a node names; None where it names none, or by an interpolation."""
    found = node._get_node("_target_")
    value = found._value() if isinstance(found, Node) and not found._is_interpolation() else None
    return value if isinstance(value, str) else None


def drop_untaken(node: DictConfig, target: Any, keep: Collection[str] = ()) -> list[str]:
    """Delete the keys of a node that a class in place of the node's does not take, and return them.

    Args:
        node: The node.
        target: The class.
        keep: Keys that are not deleted.
    """
    keys = [str(key) for key in node if key != "_target_" and key not in keep and not _takes(target, str(key))]
    for key in keys:
        del node[key]
    return keys


def _of_node(before: Mapping[Any, Any], now: Mapping[Any, Any], experiment: Mapping[Any, Any]) -> list[str]:
    target = now.get("_target_")
    if target != before.get("_target_"):
        return [str(key) for key, value in experiment.items() if key in now or not _takes(target, str(key), value)]
    keys = []
    for key, value in experiment.items():
        inner = _mapping(now.get(key))
        if "_target_" in inner and isinstance(value, Mapping):
            keys += [f"{key}.{name}" for name in _of_node(_mapping(before.get(key)), inner, value)]
        elif inner:  # its mappings, as the settings of an architecture, are the choice's own
            keys.append(str(key))
    return keys


def _takes(target: Any, key: str, value: Any = MISSING) -> bool:
    """Whether a class takes a key, with this value where one is given; True where that is not known."""
    if not isinstance(target, str) or not is_trusted(target):
        return True
    try:
        takes = signature(target)
    except TargetError:
        return True
    if key not in takes.parameters:
        return takes.open
    written = isinstance(value, str) and "${" in value
    return written or not any(mismatches(key, value, takes.parameters[key].type))


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
