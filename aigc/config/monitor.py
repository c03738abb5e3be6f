"""The metric that chooses a run's best checkpoint, read from its config without importing the task."""

from collections.abc import Mapping
from typing import Any

from aigc.config.class_sources import TargetError
from aigc.config.targets import class_attribute


def checkpoint_monitor(cfg: Mapping[Any, Any]) -> tuple[str, str] | None:
    """Return the name of the metric and its mode, `min` or `max`; None where a config has no monitor.

    Args:
        cfg: A composed config, or one read from a run folder.
    """
    checkpoints = (cfg.get("callbacks") or {}).get("checkpoints") or {}
    mode = checkpoints.get("mode")
    if checkpoints.get("monitor"):
        return str(checkpoints["monitor"]), str(mode or "min")
    try:
        of_task = class_attribute(cfg["task"]["_target_"], "monitor")
    except (TargetError, KeyError, TypeError):
        return None
    return (str(of_task[0]), str(mode or of_task[1])) if of_task else None
