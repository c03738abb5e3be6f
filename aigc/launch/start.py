"""compose → check → freeze → work: everything that can be wrong is found before the run folder exists."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from aigc.config import check
from aigc.config.freeze import frozen_yaml
from aigc.errors import InputError
from aigc.runs import Run


def start(cfg: DictConfig, overrides: Sequence[str], command: Sequence[str] | None = None) -> Run:
    """Make the run folder of a checked config; its data are prepared first, as bad data should leave nothing behind.

    Args:
        cfg: A config from `compose`.
        overrides: What was typed.
        command: The command line; None means this process's.

    Raises:
        InputError: The config, the data or the output folder is wrong; nothing was written but the data cache.
    """
    check(cfg, deep=True)
    root = runs_root(cfg)
    see_writable(root)
    data = _prepared_data(cfg)
    return Run.create(
        root,
        cfg.experiment,
        frozen_yaml(cfg),
        overrides=overrides,
        command=command,
        seed=cfg.seed,
        data_fingerprint=data.fingerprint,
    )


def runs_root(cfg: DictConfig) -> Path:
    """The folder of all run folders."""
    return Path(cfg.paths.outputs).expanduser() / "runs"


def see_writable(root: Path) -> None:
    """See that run folders can be made here, without making any.

    Raises:
        InputError: Some folder on the way cannot be written, or is a file.
    """
    existing = root.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(f"paths.outputs: {existing} is a file, so {root} cannot be made; give another folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"paths.outputs: {existing} cannot be written; give another folder: paths.outputs=FOLDER")


def _prepared_data(cfg: DictConfig) -> Any:
    from aigc.launch.components import build_data

    return build_data(cfg)
