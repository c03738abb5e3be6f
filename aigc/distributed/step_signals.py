"""Signals that the ranks exchange once per step: whether one was asked to stop, and whether a save is due."""

from typing import Any

import torch
from torch import distributed
from torch.distributed import ReduceOp


class StepSignals:
    """Signals of a single process, which apply at once."""

    def exchange(self, number: int, save_is_due: bool) -> tuple[int, bool]:
        """Send the signals of this rank, and return the maximum over ranks."""
        return number, save_is_due


class DelayedStepSignals(StepSignals):
    """Signals of several ranks, delayed by one step, so that no rank waits for another or for its device."""

    def __init__(self) -> None:
        self._given = torch.zeros(2, dtype=torch.int64)
        self._work: Any = None
        self._group: Any = None if distributed.get_backend() == "gloo" else distributed.new_group(backend="gloo")

    def exchange(self, number: int, save_is_due: bool) -> tuple[int, bool]:
        """Send the signals of this rank, and return the maximum of the step before; all ranks must call it.

        A rank that receives a due save saves now, so its own save is no longer due.
        """
        if self._work is not None:
            self._work.wait()
        taken = self._given.tolist()
        self._given = torch.tensor([number, save_is_due and not taken[1]], dtype=torch.int64)
        self._work = distributed.all_reduce(self._given, ReduceOp.MAX, self._group, async_op=True)
        return taken[0], bool(taken[1])
