"""The identity of a config: a hash; configs with the same identity train the same model bit for bit."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aigc.config.class_sources import TargetError
from aigc.config.compose import fill_defaults
from aigc.config.monitor import checkpoint_monitor
from aigc.config.references import reason
from aigc.config.targets import signature
from aigc.config.trees import map_mappings
from aigc.errors import InputError

# Paths, logging and names, which do not change numbers.
NOT_COUNTED = (
    "paths",
    "logger",
    "run",
    "resume",
    "sweep",
    "cluster",
    "experiment",
    "callbacks.progress",
    "data.cache",
    "data.num_workers",
)
# Sections of named nodes, where `null` means the same as a missing node.
_NAMED = ("callbacks", "evaluation")


def identity(cfg: DictConfig | Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical form of a resolved config, as 64 hexadecimal digits.

    The order of keys does not count, and numbers count by their value: 1e-3 and 0.001, or 1 and 1.0, are the same;
    a text is never a number. Interpolations count by what they resolve to, environment variables included.
    The seed counts. Paths, loggers, the progress display, the experiment's name and the sections `run`, `resume`,
    `sweep` and `cluster` do not.

    Args:
        cfg: A config from `compose`, one read from a run folder, or a plain mapping.

    Raises:
        InputError: An interpolation cannot be resolved; the message names the key.
    """
    return _hash(_counted(cfg if isinstance(cfg, DictConfig) else OmegaConf.create(dict(cfg))))


def identity_with_defaults(cfg: DictConfig) -> str:
    """Return the identity that a config has once every default of this version is written out.

    A config that an earlier version froze names fewer keys than one of today; here both have the same identity where
    they mean the same. It is compared, and never kept.

    Args:
        cfg: A config from `compose`, or `Run.config`, which has today's names of classes.

    Raises:
        InputError: As `identity`.
    """
    whole = OmegaConf.create(OmegaConf.to_container(cfg, resolve=False))
    assert isinstance(whole, DictConfig)
    fill_defaults(whole)
    return _hash(written_out(_counted(whole)))


def written_out(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plain config in which each node names every default of its class, and checkpoints their monitor."""
    whole: dict[str, Any] = map_mappings(dict(plain), _with_defaults)
    checkpoints = (whole.get("callbacks") or {}).get("checkpoints")
    if isinstance(checkpoints, dict):
        checkpoints["monitor"], checkpoints["mode"] = checkpoint_monitor(whole) or (None, None)
    return whole


def _with_defaults(node: dict[Any, Any]) -> dict[Any, Any]:
    """Return a node with the defaults of its class; another mapping as it is."""
    try:
        takes = signature(str(node["_target_"])).parameters if "_target_" in node else {}
    except TargetError:  # a class that is not installed here
        takes = {}
    defaults = {name: p.default for name, p in takes.items() if not p.required and p.known}
    return defaults | node


def _hash(counted: Mapping[Any, Any]) -> str:
    text = json.dumps(_canonical(counted), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _counted(cfg: DictConfig) -> dict[Any, Any]:
    """Return the plain resolved config without the keys that do not count."""
    try:
        plain = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException:  # it may belong to a key that does not count
        plain = _resolved_in_parts(cfg)
    assert isinstance(plain, dict)
    _delete_uncounted(plain)
    for section in _NAMED:
        if isinstance(nodes := plain.get(section), dict):
            plain[section] = {name: node for name, node in nodes.items() if node is not None}
    return plain


def _resolved_in_parts(cfg: DictConfig) -> dict[Any, Any]:
    bare = OmegaConf.to_container(cfg, resolve=False)  # a copy without flags that forbid deleting keys
    assert isinstance(bare, dict)
    _delete_uncounted(bare, whole_sections=False)
    cfg = OmegaConf.create(bare)
    try:
        return {name: _plain(cfg, name) for name in cfg if name not in NOT_COUNTED}
    except OmegaConfBaseException as error:
        key = f"{error.full_key}: " if error.full_key else ""
        raise InputError(f"{key}{reason(error)}") from error


def _delete_uncounted(plain: dict[Any, Any], whole_sections: bool = True) -> None:
    """Delete the keys that do not count."""
    for name in NOT_COUNTED:
        section, _, key = name.partition(".")
        if key and isinstance(plain.get(section), dict):
            plain[section].pop(key, None)
        elif not key and whole_sections:
            plain.pop(section, None)


def _plain(cfg: DictConfig, name: Any) -> Any:
    value = "???" if OmegaConf.is_missing(cfg, name) else cfg[name]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _canonical(node: Any) -> Any:
    """Return a tree whose JSON text is equal exactly for configs with the same meaning."""
    if isinstance(node, Mapping):
        # repr distinguishes the key 1 from "1".
        return {"map": sorted([repr(key), _canonical(value)] for key, value in node.items())}
    if isinstance(node, list | tuple):
        return [_canonical(item) for item in node]
    if isinstance(node, float):
        return int(node) if math.isfinite(node) and node.is_integer() else node
    return node if node is None or isinstance(node, str | bool | int) else {type(node).__name__: str(node)}
