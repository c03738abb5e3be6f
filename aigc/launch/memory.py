"""Advice for a run that is out of memory."""

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig

from aigc.config import ConfigError
from aigc.config.build import target_class
from aigc.evaluation import Evaluation
from aigc.tasks import Task


def advice(cfg: DictConfig, error: BaseException) -> str:
    """Return one or two lines with overrides that reduce the memory of this config.

    The task names what makes a step smaller; if memory ran out in an evaluation, the evaluation does.

    Args:
        cfg: The run's config.
        error: The error; its traceback tells training from evaluation.
    """
    evaluation = next((one for one in _objects_in(error) if isinstance(one, Evaluation)), None)
    if evaluation is not None and (ways := evaluation.memory_advice()):
        return f"memory ran out in {evaluation.key}; {_sentence(ways)}"
    ways = _task_class(cfg).memory_advice(cfg)
    return _sentence(ways) if ways else "choose a smaller model, or a device with more memory"


def _sentence(ways: list[str]) -> str:
    others = f"\nor {', or '.join(ways[1:])}" if ways[1:] else ""
    return f"try {ways[0]}{others}"


def _task_class(cfg: DictConfig) -> type[Task]:
    try:
        found: type[Task] = target_class(cfg.task["_target_"], Task, "task")
    except (ConfigError, AttributeError, KeyError, TypeError):
        return Task
    return found


def _objects_in(error: BaseException | None) -> Iterator[Any]:
    """Yield the objects in whose methods an error or one of its causes was raised."""
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            yield trace.tb_frame.f_locals.get("self")
            trace = trace.tb_next
        error = error.__cause__
