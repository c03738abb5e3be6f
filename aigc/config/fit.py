"""Parts of a config that do not fit each other, by what their classes declare: nothing is imported.

A data module names what it holds in `holds`, and a task what it learns from in `learns_from`, such as texts or images.
An evaluation names the base class of the tasks that it can measure in `expects`. What is not declared is not compared.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from aigc.config.class_sources import TargetError
from aigc.config.targets import class_attribute, named_base


def fit_problems(plain: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of each part that does not fit the task.

    Args:
        plain: A config with interpolations resolved.
    """
    try:
        task = _target(plain.get("task"))
        yield from _of_data(task, _target(plain.get("data")))
        for name, node in (plain.get("evaluation") or {}).items():
            yield from _of_evaluation(task, f"evaluation.{name}", _target(node))
    except TargetError:
        return  # reported with its own key


def _of_data(task: str | None, data: str | None) -> Iterator[tuple[str, str]]:
    wanted = class_attribute(task, "learns_from") if task else None
    held = class_attribute(data, "holds") if data else None
    if wanted and held and wanted != held:
        what = f"{_name(task)} learns from {wanted}, and {_name(data)} holds {held}; choose other data or another task"
        yield "data._target_", what


def _of_evaluation(task: str | None, key: str, evaluation: str | None) -> Iterator[tuple[str, str]]:
    if task and evaluation and (base := named_base(task, evaluation, "expects")):
        what = f"{_name(evaluation)} measures a task of class {base}, and {_name(task)} is none"
        yield key, f"{what}; choose another evaluation, or switch it off with {key}=null"


def _target(node: Any) -> str | None:
    target = node.get("_target_") if isinstance(node, Mapping) else None
    return target if isinstance(target, str) else None


def _name(target: str | None) -> str:
    return str(target).rpartition(".")[2]
