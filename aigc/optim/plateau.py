"""Schedules that follow a recorded value in place of the number of steps."""

import sys
from typing import Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau


def lightning_schedule(scheduler: LRScheduler) -> dict[str, Any]:
    """Return a schedule as Lightning steps it: after each optimiser step, or never if it follows a value.

    Lightning counts the batches of an epoch, so that it would step on a plateau where nothing was validated. Its state
    is in checkpoints all the same, and `aigc.callbacks.Monitored` steps it.
    """
    if not isinstance(scheduler, ReduceLROnPlateau):
        return {"scheduler": scheduler, "interval": "step"}
    return {"scheduler": scheduler, "interval": "epoch", "frequency": sys.maxsize, "reduce_on_plateau": False}
