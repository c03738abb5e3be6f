"""Validation of a run's model outside of training."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from aigc.config.origins import locating
from aigc.errors import InputError
from aigc.evaluation import Evaluation
from aigc.launch import components
from aigc.launch.trainer import build_trainer
from aigc.runs import Run
from aigc.runs.status import utc_now
from aigc.tasks import Task


def validate_model(run: Run, cfg: DictConfig, overrides: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
    """Validate the weights in model/ under a config; see `validate`.

    Raises:
        InputError: As `validate`, or the task has more weights than model/ holds.
    """
    components.prepare_machine(cfg)
    with locating(cfg):
        data = components.build_data(cfg, run.model, only_validation=True)
    task = components.build_task(cfg, data, run.model)
    check_whole(task, run)
    return validate(run, task, data, cfg, overrides)


def validate(
    run: Run, task: Task, data: Any, cfg: DictConfig, overrides: Sequence[str]
) -> tuple[dict[str, float], dict[str, str]]:
    """Validate a task that has a run's weights, and append the result to evaluations.jsonl.

    Args and returns as `SavedModel.measure`.

    Raises:
        InputError: The data cannot be used, or none are held out.
    """
    if not task.has_validation(data):
        raise InputError("data: nothing is held out to measure on; set data.validation_path")
    with tempfile.TemporaryDirectory() as folder:
        callbacks = components.build_callbacks(cfg, "evaluation")
        trainer = build_trainer(cfg, Path(folder), list(callbacks.values()), [])
        with components.reraise_interrupt():
            trainer.validate(task, datamodule=data, verbose=False)
            for callback in callbacks.values():
                if isinstance(callback, Evaluation):
                    callback.on_fit_done(trainer, task)  # those that do not run at validations
    with (run.path / "evaluations.jsonl").open("a", encoding="utf-8") as file:
        row = {"time": utc_now(), "overrides": list(overrides), "metrics": task.latest, "signatures": task.signatures}
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return task.latest, task.signatures


def check_whole(task: Task, run: Run) -> None:
    """Check that model/ holds all weights of a task: a reference or a value head would be a new one.

    Raises:
        InputError: It does not.
    """
    others = sorted({name.partition(".")[0] for name in task.state_dict() if not name.startswith("model.")})
    if others:
        raise InputError(
            f"{run.id}: {type(task).__name__} measures with the weights of {', '.join(others)}, too, and model/ holds "
            "those of the model alone. Its scores are in metrics.jsonl; `aigc export` writes the model"
        )
