"""Which kind of model a run has."""

import importlib
import pkgutil
from typing import Any

import aigc.inference
from aigc.config.problems import ConfigError, Problem
from aigc.errors import InputError
from aigc.inference.base import SavedModel
from aigc.inference.parts.model_folder import ModelFolder
from aigc.runs import Run
from aigc.runs.files import read_mapping
from aigc.runs.folder import MODEL_CLASS_FILE

_OF_OLDER_RUNS = {
    "images": "aigc.inference.image_generator.SavedImageGenerator",
    "texts": "aigc.inference.causal_lm.SavedCausalLM",
}
"""Runs from before model/aigc.json was written have a model of one of these kinds."""


def kinds() -> list[type[SavedModel]]:
    """Return the kinds of models of this package: one file each, found by its name."""
    found = []
    for module in pkgutil.iter_modules(aigc.inference.__path__, "aigc.inference."):
        if not module.ispkg:
            members = vars(importlib.import_module(module.name)).values()
            of_module = [one for one in members if isinstance(one, type) and one.__module__ == module.name]
            found += [one for one in of_module if issubclass(one, SavedModel) and one is not SavedModel]
    return found


def open_model(name: str) -> SavedModel:
    """Return what can be done with a model.

    Args:
        name: A run by its id, a unique prefix, a path or `latest`, or the folder of a model.

    Raises:
        InputError, ConfigError: As `Run.open` and `saved_model`.
    """
    return saved_model(ModelFolder.at(name) or Run.open(name))


def saved_model(run: Run) -> SavedModel:
    """Return what can be done with the model that a run has left in model/.

    Raises:
        InputError: The run has no model yet, or what describes it is damaged.
        ConfigError: The class that model/aigc.json names is not trusted, cannot be imported, or is not a `SavedModel`.
    """
    described = run.model / MODEL_CLASS_FILE
    if not described.is_file():
        return _class(_older_kind(run), "")(run)
    name = _read(run, described.name).get("saved_model", "")
    if name is None:
        raise InputError(
            f"run {run.id}: its task names no class that loads model/; set the attribute `saved_model` of the task to "
            "the dotted path of a subclass of aigc.inference.base.SavedModel"
        )
    if not isinstance(name, str) or not name:
        raise InputError(f"{described} is damaged: saved_model must be the name of a class")
    return _class(name, str(described))(run)


def model_of_task(run: Run) -> SavedModel:
    """Return what can be done with the model that a run's task trains, whether or not the run is finished.

    Raises:
        InputError: The run's config names no task, and there is no model.
        ConfigError: The task, or the class that it names, is not trusted or cannot be imported.
    """
    from aigc.config.build import target_class
    from aigc.tasks import Task

    node = run.config.get("task")
    if node is None:
        return saved_model(run)
    task = target_class(node["_target_"], Task, "task")
    return saved_model(run) if task.saved_model is None else _class(task.saved_model, node["_target_"])(run)


def _class(name: str, origin: str) -> type[SavedModel]:
    """Import a class; a run folder has no say in what is trusted."""
    from aigc.config.build import target_class

    try:
        return target_class(name, SavedModel, "saved_model")
    except ConfigError as error:
        raise ConfigError([Problem("saved_model", problem.what, origin) for problem in error.problems]) from None


def _older_kind(run: Run) -> str:
    if not (run.model / "config.json").is_file():
        raise InputError(f"run {run.id} has no model yet: let it finish.")
    described = _read(run, "config.json")
    return _OF_OLDER_RUNS["images" if {"generator", "task"} & described.keys() else "texts"]


def _read(run: Run, name: str) -> dict[str, Any]:
    path = run.model / name
    try:
        return read_mapping(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}. `aigc verify {run.id}` names every such file.") from error
