"""Parts of a config that do not fit each other, by what their classes declare: no class is imported.

A data module names what it holds in `holds`, and a task what it learns from in `learns_from`, such as texts or images.
A description of a model names what it makes in `makes`, and a task what it trains in `trains`. An evaluation names the
base class of the tasks that it can measure in `expects`. A model names in `fits_data` a function that compares its node
with that of the data, and in `fits_optimizer` one that compares it with that of the optimiser; importing them must not
import torch. What is not declared is not compared.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from aigc.config.accumulation import accumulation_problems
from aigc.config.build import import_name
from aigc.config.class_sources import TargetError
from aigc.config.monitor import undirected
from aigc.config.targets import class_attribute, named_base
from aigc.config.trust import is_trusted

_MATCHES = {"data": ("learns_from", "holds"), "model": ("trains", "makes")}
"""Attributes that must be equal: that of the task, and that of the class in a section."""


def fit_problems(plain: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of each part that does not fit the task.

    Args:
        plain: A config with interpolations resolved.
    """
    try:
        task = _target(plain.get("task"))
        data = _target(plain.get("data"))
        for key in _MATCHES:
            yield from _of_part(task, key, _target(plain.get(key)))
        if data and class_attribute(data, "endless") and plain["trainer"].get("max_epochs") is not None:
            yield "trainer.max_epochs", f"an epoch of {_name(data)} has no known length; set trainer.max_steps instead"
        yield from accumulation_problems(plain)
        for name, node in (plain.get("evaluation") or {}).items():
            yield from _of_evaluation(task, f"evaluation.{name}", _target(node))
        for key, missing, allowed in undirected(plain):
            yield key, f"no known metric is called so; if something records it, set {missing} to {allowed}"
    except TargetError:
        return  # reported with its own key
    yield from model_problems(plain)


def model_problems(plain: Mapping[str, Any], files: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of data or of an optimiser that do not fit the model.

    Args:
        plain: A config with interpolations resolved.
        files: Whether small files that the config names are read, such as the configuration of pretrained weights.
    """
    model, data = plain.get("model"), plain.get("data")
    if target := _target(model):
        function = class_attribute(target, "fits_data")
        if function and is_trusted(function) and isinstance(data, Mapping):
            yield from import_name(function)(model, data, files)
        function, optimizer = class_attribute(target, "fits_optimizer"), plain.get("optimizer")
        if function and is_trusted(function) and isinstance(optimizer, Mapping):
            yield from import_name(function)(model, optimizer)


def _of_part(task: str | None, key: str, part: str | None) -> Iterator[tuple[str, str]]:
    wants, has = _MATCHES[key]
    wanted = class_attribute(task, wants) if task else None
    offered = class_attribute(part, has) if part else None
    if wanted and offered and wanted != offered:
        what = f"{_name(task)} {wants.replace('_', ' ')} {wanted}, and {_name(part)} {has} {offered}"
        yield f"{key}._target_", f"{what}; choose a fitting {key} config or another task"


def _of_evaluation(task: str | None, key: str, evaluation: str | None) -> Iterator[tuple[str, str]]:
    if task and evaluation and (base := named_base(task, evaluation, "expects")):
        what = f"{_name(evaluation)} measures a task of class {base}, and {_name(task)} is none"
        yield key, f"{what}; choose another evaluation, or switch it off with {key}=null"


def _target(node: Any) -> str | None:
    target = node.get("_target_") if isinstance(node, Mapping) else None
    return target if isinstance(target, str) else None


def _name(target: str | None) -> str:
    return str(target).rpartition(".")[2]
