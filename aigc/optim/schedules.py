"""Schedules of rates and betas. Their length comes from the config, as asking Lightning for it breaks resuming."""

import math
from typing import Annotated, Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from aigc.config.types import Bound
from aigc.errors import InputError


def half_cosine(done: float) -> float:
    """From 0 at 0 to 1 at 1, slowly at both ends, and no further (Loshchilov and Hutter, 2017).

    Args:
        done: Share of the way.
    """
    return 0.5 * (1 - math.cos(math.pi * min(done, 1.0)))


class WarmupCosine(LambdaLR):
    """Linear warm-up, then half a cosine down to a share of the learning rate (Loshchilov and Hutter, 2017).

    Args:
        optimizer: The optimiser whose learning rates are scaled.
        total_steps: Optimiser steps of the whole run.
        warmup_steps: Steps over which the rate rises linearly to its full value.
        final_ratio: Share of the full rate that is left at the end.
        final_beta2: What Adam's second beta comes to on the same half cosine, as in R3GAN; None leaves it.

    Raises:
        InputError: The optimiser has no betas.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        warmup_steps: int = 0,
        final_ratio: float = 0.0,
        final_beta2: Annotated[float, Bound(0, 1)] | None = None,
    ):
        def done(step: int) -> float:
            return half_cosine(max(0, step - warmup_steps) / max(1, total_steps - warmup_steps))

        def scale(step: int) -> float:
            return (step + 1) / warmup_steps if step < warmup_steps else 1 + (final_ratio - 1) * done(step)

        if final_beta2 is not None and "betas" not in optimizer.defaults:
            raise InputError(f"scheduler.final_beta2: {type(optimizer).__name__} has no betas; set it to null")
        self._done, self._final_beta2 = done, final_beta2
        self._first_betas: list[Any] = [group.get("betas") for group in optimizer.param_groups]
        super().__init__(optimizer, scale)

    def step(self, epoch: int | None = None) -> None:
        """Set the rates and betas of the next step."""
        super().step(epoch)
        if self._final_beta2 is not None:
            for group, (beta1, beta2) in zip(self.optimizer.param_groups, self._first_betas, strict=True):
                group["betas"] = (beta1, beta2 + (self._final_beta2 - beta2) * self._done(self.last_epoch))

    def state_dict(self) -> dict[str, Any]:
        """Plain values alone."""
        return {name: value for name, value in super().state_dict().items() if name != "_done"}
