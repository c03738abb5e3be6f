"""Interpolations: the keys that a value refers to, and why one cannot be resolved."""

import re
from typing import Any

from omegaconf import DictConfig, Node

from aigc.printing import shortened

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_UNSET = re.compile(r"Environment variable '(.*)' not found")


def references(cfg: DictConfig, key: str) -> list[str]:
    """Return the keys that the value of a key names, as `${cluster.gpus}` does; resolves nothing."""
    return _REFERENCE.findall(_written(cfg, key))


def source(cfg: DictConfig, key: str) -> str | None:
    """Return the key whose value this one takes; None where it has a value of its own."""
    found = _REFERENCE.fullmatch(_written(cfg, key))
    return found.group(1) if found else None


def circle(cfg: DictConfig, key: str) -> list[str]:
    """Return the keys that lead from a key back to it, with it at both ends; empty if none do."""
    paths, seen = [[key]], {key}
    while paths:
        path = paths.pop()
        for name in references(cfg, path[-1]):
            if name == key:
                return [*path, key]
            if name not in seen:
                seen.add(name)
                paths.append([*path, name])
    return []


def reason(error: Exception) -> str:
    """Return why OmegaConf does not resolve or take a value."""
    text = str(error).splitlines()[0]
    text = re.sub(r"^\w+ raised while resolving interpolation: ", "", text).strip('"')
    if unset := _UNSET.fullmatch(text):
        name = shortened(unset.group(1), 60)
        return f"the environment variable {name} is not set; set it, or give a default: ${{oc.env:{name},DEFAULT}}"
    return shortened(text)


def _written(cfg: DictConfig, key: str) -> str:
    node: Any = cfg
    for name in key.split("."):  # resolves nothing: what a key above refers to may be missing
        node = node._get_node(name) if isinstance(node, DictConfig) and not node._is_interpolation() else None
    return str(node._value()) if isinstance(node, Node) and node._is_interpolation() else ""
