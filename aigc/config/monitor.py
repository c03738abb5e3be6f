"""Values that checkpoints, callbacks and schedules follow, and which of them are better, without importing anything."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from aigc.config.class_sources import TargetError, named_classes
from aigc.config.targets import class_attribute, signature

_SMALLER = re.compile(r"(?:\w+_)?(?:loss|nll|perplexity(?:_per_\w+)?)|bits_per_\w+")
"""Names of values of which smaller ones are always better."""


def checkpoint_monitor(cfg: Mapping[Any, Any]) -> tuple[str, str] | None:
    """Return the name of the metric that chooses the best checkpoint and its mode, `min` or `max`; None without one.

    Args:
        cfg: A composed config, or one read from a run folder.
    """
    checkpoints, of_task = _checkpoints(cfg), _of_task(cfg)
    monitor = checkpoints.get("monitor")
    if not monitor:
        return (of_task[0], str(checkpoints.get("mode") or of_task[1])) if of_task else None
    return str(monitor), str(checkpoints.get("mode") or better(cfg, str(monitor)) or "min")


def better(cfg: Mapping[Any, Any], value: str) -> str | None:
    """Return `min` where smaller ones of a recorded value are better, `max` where larger ones are; None if not known.

    Known are what chooses the best checkpoint, losses, and the scores of metrics that say `higher_is_better`: those of
    the config, and those of `aigc.metrics`.

    Args:
        cfg: A config.
        value: The recorded name, such as `val/bleu` or `val/images/kid_efficientnet_lite0`.
    """
    checkpoints, of_task = _checkpoints(cfg), _of_task(cfg)
    if checkpoints.get("monitor") == value and checkpoints.get("mode"):
        return str(checkpoints["mode"])
    if of_task and of_task[0] == value:
        return of_task[1]
    score = value.rpartition("/")[2]
    if _SMALLER.fullmatch(score):
        return "min"
    found = _directions(_metrics(cfg), score)
    if not found:  # reading all metrics takes a tenth of a second
        found = _directions(named_classes("aigc.metrics", "metric_name").values(), score)
    return {True: "max", False: "min", None: None}[found.pop()] if len(found) == 1 else None


def _directions(metrics: Iterable[str], score: str) -> set[bool | None]:
    """Return whether larger ones of a score are better, as each of these metrics that gives it says."""
    return {larger for metric in metrics for name, larger in _scores(metric) if _is_of(score, name)}


def undirected(cfg: Mapping[Any, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the key of each value of which `better` knows nothing, the key that must say it, and the choices there.

    Args:
        cfg: A config with interpolations resolved.
    """
    nodes = {f"callbacks.{name}": node for name, node in _mapping(cfg.get("callbacks")).items()}
    for key, node in {**nodes, "scheduler": cfg.get("scheduler")}.items():
        if isinstance(node, Mapping) and takes_mode(node) and better(cfg, node["monitor"]) is None:
            yield f"{key}.monitor", f"{key}.mode", "min or max"
    sweep = _mapping(cfg.get("sweep"))
    monitor = sweep.get("monitor")
    if isinstance(monitor, str) and not sweep.get("direction") and better(cfg, monitor) is None:
        yield "sweep.monitor", "sweep.direction", "minimize or maximize"


def takes_mode(node: Mapping[Any, Any]) -> bool:
    """Return whether a node follows a value that it names, and leaves open which ones are better."""
    target, monitor = node.get("_target_"), node.get("monitor")
    if not isinstance(target, str) or not isinstance(monitor, str) or node.get("mode") is not None:
        return False
    try:
        return "mode" in signature(target).parameters
    except TargetError:
        return False


def with_mode(cfg: Mapping[Any, Any], node: DictConfig) -> DictConfig:
    """Return a node of the config that names a value with the mode of that value, unless it has one."""
    mode = better(cfg, node.monitor) if takes_mode(node) else None
    return OmegaConf.merge(node, {"mode": mode}) if mode else node  # type: ignore[return-value]


def _checkpoints(cfg: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return _mapping(_mapping(cfg.get("callbacks")).get("checkpoints"))


def _mapping(node: Any) -> Mapping[Any, Any]:
    """Return a mapping as it is, and an empty one for what should be one."""
    return node if isinstance(node, Mapping) else {}


def _of_task(cfg: Mapping[Any, Any]) -> tuple[str, str] | None:
    """Return the monitor of the task and its mode."""
    try:
        found = class_attribute(cfg["task"]["_target_"], "monitor")
    except (TargetError, KeyError, TypeError):
        return None
    return (str(found[0]), str(found[1])) if found else None


def _metrics(cfg: Mapping[Any, Any]) -> Iterator[str]:
    """Yield the classes of the metrics of all evaluations."""
    for evaluation in _mapping(cfg.get("evaluation")).values():
        for node in _mapping(_mapping(evaluation).get("metrics")).values():
            if isinstance(target := _mapping(node).get("_target_"), str):
                yield target


def _scores(metric: str) -> Iterator[tuple[str, bool | None]]:
    """Yield the names of a metric's scores, or how they begin, with whether larger ones are better."""
    try:
        names = class_attribute(metric, "names") or (class_attribute(metric, "metric_name"),)
        larger = class_attribute(metric, "higher_is_better")
    except TargetError:
        return
    yield from ((str(name), larger) for name in names if name)


def _is_of(score: str, name: str) -> bool:
    """Return whether a score is one of a metric: `kid_classifier` of kid, `rouge1` of rouge, but not `kid_std`."""
    return re.fullmatch(rf"{re.escape(name)}(?:_?[0-9A-Z]\w*|_\w+)?", score) is not None and "_std" not in score
