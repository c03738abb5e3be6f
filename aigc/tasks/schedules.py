"""Learning-rate schedules. Their length comes from the config, as asking Lightning for it breaks resuming."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class WarmupCosine(LambdaLR):
    """Linear warm-up, then half a cosine down to a share of the learning rate (Loshchilov and Hutter, 2017).

    Args:
        optimizer: The optimiser whose learning rates are scaled.
        total_steps: Optimiser steps of the whole run.
        warmup_steps: Steps over which the rate rises linearly to its full value.
        final_ratio: Share of the full rate that is left at the end.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, final_ratio: float = 0.0):
        def scale(step: int) -> float:
            if step < warmup_steps:
                return (step + 1) / warmup_steps
            done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
            return final_ratio + (1 - final_ratio) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

        super().__init__(optimizer, scale)
