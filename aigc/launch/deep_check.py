"""What `aigc validate --deep` builds: the parts of a run that need neither data nor a model."""

from dataclasses import replace

import torch
from omegaconf import DictConfig

from aigc.config.build import factory
from aigc.config.origins import origins_of
from aigc.config.problems import ConfigError, Problem
from aigc.launch import components


def check_buildable(cfg: DictConfig) -> None:
    """Build callbacks, and optimiser and schedule of one matrix, so that values are found that their classes refuse.

    Raises:
        ConfigError: Lists what was refused.
    """
    problems: list[Problem] = []
    for build in (_build_callbacks, _build_optimizer):
        try:
            build(cfg)
        except ConfigError as error:
            problems += error.problems
    if problems:
        origins = origins_of(cfg)
        raise ConfigError([replace(one, origin=one.origin or origins.of(one.key)) for one in problems])


def _build_callbacks(cfg: DictConfig) -> None:
    callbacks = components.build_callbacks(cfg, "callbacks")
    components.time_limit(cfg, callbacks.values())


def _build_optimizer(cfg: DictConfig) -> None:
    matrix = torch.nn.Parameter(torch.zeros(2, 2))
    optimizer = factory(cfg.optimizer, torch.optim.Optimizer, "optimizer")(params=[matrix])
    if cfg.scheduler:
        components.build_schedule(cfg)(optimizer=optimizer, total_steps=cfg.trainer.max_steps or 1000)
