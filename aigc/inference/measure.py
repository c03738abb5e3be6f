"""Measures the model of a finished run, on the run's data or on other data."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from aigc.config import check
from aigc.config.build import target_class
from aigc.errors import InputError
from aigc.launch import components
from aigc.runs import Run
from aigc.runs.status import utc_now
from aigc.tasks import ImageTask, Task


def measure(run: Run, cfg: DictConfig, overrides: Sequence[str] = ()) -> tuple[dict[str, float], dict[str, str]]:
    """Validate the run's model under a config, through the same code as training does.

    Args:
        run: A run with a model.
        cfg: The run's config, or one that differs in data, evaluation or trainer.
        overrides: What differs, for evaluations.jsonl.

    Returns:
        Names and values as training records them, and how they were made by the same names.

    Raises:
        InputError: The run has no model yet, or the data cannot be used.
    """
    check(cfg, deep=True)
    if issubclass(target_class(cfg.task["_target_"], Task, "task"), ImageTask):
        raise InputError(f"{run.id} makes images: `aigc score-images {run.id}` measures them")
    if not (run.model / "config.json").is_file():
        raise InputError(f"{run.id} has no model (status {run.status}); a finished run has one")
    # The model reads its own tokens, whatever the data: a tokenizer trained anew would number them otherwise.
    cfg.data.tokenizer = {"kind": "pretrained", "path": str(run.model)}
    components.prepare_machine(cfg)
    data = components.build_data(cfg)
    if not data.info["validation"]["rows"]:
        raise InputError("data: there is nothing to measure on; set data.validation_fraction or data.validation_path")
    task = components.build_task(cfg, data, run.model)
    with tempfile.TemporaryDirectory() as folder:
        callbacks = components.build_callbacks(cfg, "evaluation")
        trainer = components.build_trainer(cfg, Path(folder), list(callbacks.values()), [])
        with components.own_interrupt():
            trainer.validate(task, datamodule=data, verbose=False)
    with (run.path / "evaluations.jsonl").open("a", encoding="utf-8") as file:
        row = {"time": utc_now(), "overrides": list(overrides), "metrics": task.latest, "signatures": task.signatures}
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return task.latest, task.signatures
