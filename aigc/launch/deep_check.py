"""Parts of a run that need neither data nor a model, built to find values that their classes refuse."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from aigc.config.build import factory
from aigc.config.origins import origins_of
from aigc.config.problems import ConfigError, Problem
from aigc.config.trust import TRUSTED
from aigc.errors import is_out_of_memory
from aigc.launch import components

_REFUSALS = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
_UNKNOWN_LENGTH = 1000
"""Steps of a schedule whose length follows from the data."""


def check_buildable(cfg: DictConfig) -> None:
    """Build callbacks, and try the optimiser and the schedule.

    Raises:
        ConfigError: Lists what was refused.
    """
    problems: list[Problem] = []
    for build in (_build_callbacks, check_optimizer):
        try:
            build(cfg)
        except ConfigError as error:
            problems += error.problems
    if problems:
        origins = origins_of(cfg)
        raise ConfigError([replace(one, origin=one.origin or origins.of(one.key)) for one in problems])


def check_optimizer(cfg: DictConfig, device: torch.device | None = None) -> None:
    """Try the optimiser of one matrix, and the first steps of the schedule.

    Classes of torch check some values only when they step, where an error would leave a run folder behind. An optimiser
    or a schedule of a person's own may need what one matrix lacks, so it is left to the training. So is how many groups
    of parameters the task makes: a list in the schedule is taken to hold a value for each of them.

    Args:
        cfg: The config.
        device: Where the optimiser steps as well; None does not step it, as a cluster may have another device.

    Raises:
        ConfigError: A class refuses a value.
    """
    if _try_optimizer(cfg, device) is None or not cfg.scheduler or _is_own(cfg.scheduler):
        return
    lengths = {len(value) for value in cfg.scheduler.values() if isinstance(value, ListConfig)}
    *others, most = sorted(lengths - {0}) or [1]
    for groups in others:
        with suppress(ConfigError):
            _try_schedule(cfg, groups)
            return
    _try_schedule(cfg, most)


def _try_optimizer(cfg: DictConfig, device: torch.device | None = None, groups: int = 1) -> Optimizer | None:
    """Return the optimiser of one matrix a group; None where a class of a person's own does not take it."""
    matrices = [torch.nn.Parameter(torch.zeros(2, 2, device=device)) for _ in range(groups)]
    params = [{"params": [matrix]} for matrix in matrices] if groups > 1 else matrices
    make = factory(cfg.optimizer, Optimizer, "optimizer")
    if _is_own(cfg.optimizer):
        try:
            return make(params=params)
        except Exception:
            return None
    with _refused_as("optimizer", cfg.optimizer):
        optimizer = make(params=params)
        if device is not None:
            for matrix in matrices:
                matrix.grad = torch.zeros_like(matrix)
            optimizer.step()
    return optimizer


def _try_schedule(cfg: DictConfig, groups: int) -> None:
    """Try the first steps of the schedule of an optimiser with so many groups of parameters."""
    optimizer, steps = _try_optimizer(cfg, groups=groups), cfg.trainer.max_steps
    if optimizer is None:
        return
    with _refused_as("scheduler", cfg.scheduler), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, that the optimiser has not stepped
        schedule = components.build_schedule(cfg)(optimizer=optimizer, total_steps=steps or _UNKNOWN_LENGTH)
        if not isinstance(schedule, ReduceLROnPlateau):
            for _ in range(min(2, steps or 2)):
                schedule.step()


def _is_own(node: DictConfig) -> bool:
    """Return whether the class of a node is a person's own."""
    return str(node["_target_"]).partition(".")[0] not in TRUSTED


@contextmanager
def _refused_as(key: str, node: DictConfig) -> Iterator[None]:
    """Raise ConfigError for what a class raises; a division by zero names the parameters that are 0."""
    try:
        yield
    except ConfigError:
        raise
    except _REFUSALS as error:
        if is_out_of_memory(error):
            raise
        zeros = [name for name, value in node.items() if value == 0 and not isinstance(value, bool)]
        wrong: list[Any] = zeros if isinstance(error, ZeroDivisionError) else []
        what = f"{node['_target_']} does not take this: {' '.join(str(error).split()) or type(error).__name__}"
        raise ConfigError([Problem(f"{key}.{name}", what) for name in wrong] or [Problem(key, what)]) from error


def _build_callbacks(cfg: DictConfig) -> None:
    callbacks = components.build_callbacks(cfg, "callbacks")
    components.time_limit(cfg, callbacks.values())
