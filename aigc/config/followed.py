"""What follows a recorded value in a config that measures nothing before the end, found without importing anything."""

from collections.abc import Iterator, Mapping
from typing import Any

from aigc.config.class_sources import TargetError
from aigc.config.targets import class_attribute, is_subclass, signature

_STOPS = "pytorch_lightning.callbacks.EarlyStopping"
_PLATEAU = "torch.optim.lr_scheduler.ReduceLROnPlateau"


def idle_followers(cfg: Mapping[Any, Any]) -> list[str]:
    """Return the keys of what looks at validations and evaluations in a config that has none before the end.

    Args:
        cfg: A config that `check` has accepted.
    """
    every, steps = cfg["trainer"]["validate_every_n_steps"], cfg["trainer"]["max_steps"]
    if every is not None and (steps is None or every < steps):
        return []
    if any(_runs_between(node) for node in (cfg.get("evaluation") or {}).values() if node):
        return []
    return list(_followers(cfg))


def _followers(cfg: Mapping[Any, Any]) -> Iterator[str]:
    for name, node in (cfg.get("callbacks") or {}).items():
        if node and is_subclass(node["_target_"], _STOPS):
            yield f"callbacks.{name}"
    if cfg.get("scheduler") and is_subclass(cfg["scheduler"]["_target_"], _PLATEAU):
        yield "scheduler"


def _runs_between(node: Mapping[Any, Any]) -> bool:
    """Return whether an evaluation may run between two steps; a class of a person's own may decide it itself."""
    try:
        if class_attribute(node["_target_"], "at_validation"):
            return False
        default = signature(node["_target_"]).parameters.get("every_n_steps")
    except TargetError:
        return True
    return node.get("every_n_steps", default.default if default else None) is not None or default is None
