"""Schedules of learning rates and betas, with the length in the config; Lightning's changes when a run resumes."""

import math
from typing import Annotated, Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LinearLR

from aigc.config.types import Bound
from aigc.errors import InputError


def half_cosine(done: float) -> float:
    """Rise from 0 to 1 along half a cosine, and stay there (Loshchilov and Hutter, 2017).

    Args:
        done: Progress, from 0 to 1.
    """
    return 0.5 * (1 - math.cos(math.pi * min(done, 1.0)))


class WarmupCosine(LambdaLR):
    """Linear warm-up, then half a cosine down to a share of the learning rate (Loshchilov and Hutter, 2017).

    Args:
        optimizer: The optimiser whose learning rates are scaled.
        total_steps: Optimiser steps of the whole run.
        warmup_steps: Steps over which the rate rises linearly to its full value; null is the same as 0.
        final_ratio: Final learning rate as a share of the full rate.
        final_beta2: Final value of Adam's second beta on the same half cosine, as in R3GAN; None keeps it constant.
        warmup_ratio: The warm-up as a share of all steps, rounded to whole ones; give this or warmup_steps.

    Raises:
        InputError: The optimiser has no betas, or the warm-up is given twice.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        warmup_steps: Annotated[int, Bound(0)] | None = None,
        final_ratio: float = 0.0,
        final_beta2: Annotated[float, Bound(0, 1)] | None = None,
        warmup_ratio: Annotated[float, Bound(0, 1)] | None = None,
    ):
        if warmup_ratio is not None and warmup_steps is not None:
            both = f"scheduler.warmup_ratio={warmup_ratio} and scheduler.warmup_steps={warmup_steps}"
            raise InputError(f"{both} both set the warm-up; set one of them to null")
        warmup = warmup_steps or round((warmup_ratio or 0.0) * total_steps)

        def done(step: int) -> float:
            return half_cosine(max(0, step - warmup) / max(1, total_steps - warmup))

        def scale(step: int) -> float:
            return (step + 1) / warmup if step < warmup else 1 + (final_ratio - 1) * done(step)

        if final_beta2 is not None and "betas" not in optimizer.defaults:
            raise InputError(f"scheduler.final_beta2: {type(optimizer).__name__} has no betas; set it to null")
        self._done, self._final_beta2 = done, final_beta2
        self._first_betas: list[Any] = [group.get("betas") for group in optimizer.param_groups]
        super().__init__(optimizer, scale)

    def step(self, epoch: int | None = None) -> None:
        """Set the learning rates and betas of the next step."""
        super().step(epoch)
        if self._final_beta2 is not None:
            for group, (beta1, beta2) in zip(self.optimizer.param_groups, self._first_betas, strict=True):
                group["betas"] = (beta1, beta2 + (self._final_beta2 - beta2) * self._done(self.last_epoch))

    def state_dict(self) -> dict[str, Any]:
        """Return only plain values."""
        return {name: value for name, value in super().state_dict().items() if name != "_done"}


class LinearDecay(LinearLR):
    """Linear change from one share of the learning rate to another over the whole run.

    Args:
        optimizer: The optimiser whose learning rates are scaled.
        total_steps: Optimiser steps of the whole run.
        start_factor: Learning rate of the first step as a share of the full rate.
        end_factor: Learning rate of the last step as a share of the full rate.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        start_factor: Annotated[float, Bound(0, 1)] = 1.0,
        end_factor: Annotated[float, Bound(0, 1)] = 0.0,
    ):
        super().__init__(optimizer, start_factor, end_factor, total_iters=total_steps)
