"""Loggers of Lightning and other packages: where they write, what they get of the config, and how they resume."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.loggers.logger import Logger

from aigc.config.targets import signature
from aigc.runs import Run
from aigc.runs.metrics_file import FIXED_COLUMNS


def logger_arguments(node: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return what the framework adds to the arguments of a logger.

    A class that takes `run` gets the run. Another writes below the run folder where its `save_dir` is relative, and its
    `version` is the run's id, so that all attempts at a run continue one record.

    Args:
        node: The logger's node of the config.
        run: The run that is logged.
    """
    takes = signature(str(node["_target_"])).parameters
    if "run" in takes:
        return {"run": run}
    given: dict[str, Any] = {}
    folder = node.get("save_dir")
    if isinstance(folder, str) and "://" not in folder:
        given["save_dir"] = str(run.path / Path(folder).expanduser())
    if "version" in takes and node.get("version") is None and node.get("id") is None:
        given["version"] = run.id
    return given


def resume_from_step(logger: Logger, step: int) -> None:
    """Tell a logger, before it logs anything, after which step an attempt continues."""
    if resume := getattr(logger, "resume_from_step", None):
        resume(step)
    elif isinstance(logger, TensorBoardLogger):
        logger._kwargs.setdefault("purge_step", step + 1)


def resume_from_rows(logger: Logger, rows: Sequence[Mapping[str, float]]) -> None:
    """Give a logger all rows until the checkpoint; Lightning's CSVLogger deletes its file when it starts."""
    if resume := getattr(logger, "resume_from_rows", None):
        resume(rows)
    elif isinstance(logger, CSVLogger):
        for row in rows:
            values = {name: value for name, value in row.items() if name not in FIXED_COLUMNS}
            logger.log_metrics(values, int(row["step"]))


def log_config(loggers: Sequence[Logger], config: DictConfig) -> None:
    """Give the config of a run to all its loggers, with interpolations of the environment unresolved."""
    plain = OmegaConf.to_container(config, resolve=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Experiment logs directory")  # of CSVLogger, which gets all rows again
        for logger in loggers:
            logger.log_hyperparams(plain)
