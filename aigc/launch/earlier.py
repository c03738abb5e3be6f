"""Runs of other versions of aigc, whose recorded identity may differ from the one that this version computes."""

import copy
from collections.abc import Iterable

from omegaconf import DictConfig

from aigc.config.identity import identity_with_defaults
from aigc.errors import InputError
from aigc.runs import Run
from aigc.runs.environment import source_digest


def run_of_other_code(runs: Iterable[Run], cfg: DictConfig) -> Run | None:
    """Return the first run with the same meaning that other code made; None if there is none.

    Args:
        runs: Any runs; damaged ones are skipped.
        cfg: A composed config.
    """
    current = source_digest()
    return next((run for run in runs if source_of(run) not in (current, None) and means_the_same(run, cfg)), None)


def source_of(run: Run) -> str | None:
    """Return the hash of the code that made a run; None where that is not known."""
    try:
        return run.record.source_sha256
    except InputError:
        return None


def means_the_same(run: Run, cfg: DictConfig) -> bool:
    """Whether a run's config, after an update, has the same meaning as a composed one."""
    try:
        frozen = run.config
        # Cheap comparisons come first, as there may be thousands of runs.
        if frozen.get("experiment") != cfg.experiment or frozen.get("seed") != cfg.seed:
            return False
        if cfg.trainer.devices == "auto":  # a frozen config has the number
            cfg = copy.deepcopy(cfg)
            cfg.trainer.devices = frozen.trainer.devices
        return identity_with_defaults(frozen) == identity_with_defaults(cfg)
    except (InputError, AttributeError):
        return False
