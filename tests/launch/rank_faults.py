"""Faults to inject into one of several ranks."""

import os
import signal
import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class FailAt(Callback):
    """Fails in one rank before the n-th step.

    Args:
        step: Steps that were taken before.
        rank: Which rank.
        how: nothing, raise, diverge, out_of_memory, kill, or leave (without a note).
        others_hang: The other ranks hang there, so that they notice nothing.
    """

    def __init__(self, step: int, rank: int = 1, how: str = "raise", others_hang: bool = False):
        self.step, self.rank, self.how, self.others_hang = step, rank, how, others_hang

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        if trainer.global_step != self.step:
            return
        if trainer.global_rank != self.rank:
            while self.others_hang:
                time.sleep(1)
        elif self.how == "nothing":
            pass
        elif self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "leave":
            os._exit(7)
        elif self.how == "diverge":
            next(module.parameters()).data.fill_(float("nan"))
        elif self.how == "out_of_memory":
            raise MemoryError("no more of it")
        else:
            raise ValueError("this rank is broken")


class Slow(Callback):
    """Leaves time between two steps for a signal."""

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        time.sleep(0.2)
