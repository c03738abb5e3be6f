"""Optimisers of a network that lazy regularisers step as well."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from aigc.config.problems import ConfigError, Problem


def lazy_share(intervals: Iterable[int]) -> float:
    """The share of a network's optimiser steps that its main loss has, beside lazy regularisers of these intervals."""
    return 1 / (1 + sum(1 / interval for interval in intervals if interval > 1))


def make_optimizer(
    make: Callable[..., Optimizer],
    network: nn.Module,
    intervals: Iterable[int] = (),
    changed: Mapping[str, Any] | None = None,
) -> Optimizer:
    """An optimiser whose moments and rate mean the same with lazy regularisers as without (Karras et al., 2020).

    With c the share of the main steps, the learning rate is multiplied by c, and each beta is raised to the power c.

    Args:
        make: Makes it of parameters.
        network: Its parameters are optimised.
        intervals: Of the network's regularisers, in steps.
        changed: Arguments other than those that `make` has.

    Raises:
        ConfigError: An argument that this optimiser does not take.
    """
    try:
        optimizer = make(network.parameters(), **(changed or {}))
    except ConfigError as error:
        if not changed:
            raise
        problems = [Problem("task.discriminator_optimizer", problem.what) for problem in error.problems]
        raise ConfigError(problems) from error
    share = lazy_share(intervals)
    if share < 1:
        for group in optimizer.param_groups:
            group["lr"] *= share
            if "betas" in group:
                group["betas"] = tuple(beta**share for beta in group["betas"])
    return optimizer
