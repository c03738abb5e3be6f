"""Optimisers of networks with lazy regularisers."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from aigc.config.problems import ConfigError, Problem


def lazy_share(intervals: Iterable[int]) -> float:
    """Return the share of the main loss in the optimiser steps of a network with lazy regularisers."""
    return 1 / (1 + sum(1 / interval for interval in intervals if interval > 1))


def make_optimizer(
    make: Callable[..., Optimizer],
    network: nn.Module,
    intervals: Iterable[int] = (),
    changed: Mapping[str, Any] | None = None,
) -> Optimizer:
    """Create an optimiser that compensates for the additional steps of lazy regularisers (Karras et al., 2020).

    With c the share of the main steps, the learning rate is multiplied by c, and each beta is raised to the power c.

    Args:
        make: Creates an optimiser of parameters.
        network: The network to optimise.
        intervals: Intervals of the regularisers of the network, in steps.
        changed: Arguments that override those of `make`.

    Raises:
        ConfigError: The optimiser does not take an argument.
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
