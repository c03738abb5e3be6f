"""The guard against losses, gradients and weights that are not finite."""

from abc import abstractmethod

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.distributed import ReduceOp
from torch.distributed.tensor import DTensor

from aigc.data.loader import EpochLoader
from aigc.distributed.collectives import reduce_number
from aigc.errors import DivergedRun

_NONE = float("inf")
"""The first bad batch where there is none: any other comes before it."""


class DivergenceGuard(LightningModule):
    """A module that remembers the first batch whose loss or gradient is not finite.

    On a CPU it raises at once, before the optimiser step. On an accelerator that would stop the device at every step,
    so it raises at logged steps and before each save: a diverged state never gets into a checkpoint. The same holds
    for the loss of one of several ranks, which the others see in the averaged gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bad_batch: Tensor | None = None

    @property
    @abstractmethod
    def steps_done(self) -> int:
        """Optimiser steps that were done."""

    def validation_is_finite(self) -> bool:
        """Return whether this rank's losses in the last validation are finite; override it where they are known."""
        return True

    def check_finite(self, value: Tensor, shared: bool = False) -> None:
        """Note whether the loss of a batch, or the norm of its gradient, is finite.

        Args:
            value: One number.
            shared: Whether all ranks have the same number.

        Raises:
            DivergedRun: It is not; the message has the step and the samples of the batch.
        """
        batch = self.trainer.fit_loop.total_batch_idx
        bad = (~torch.isfinite(value.detach())).long() * (batch + 1) - 1  # torch.where waits for a GPU to take a number
        self._bad_batch = bad if self._bad_batch is None else torch.where(self._bad_batch >= 0, self._bad_batch, bad)
        if value.device.type != "cpu":
            return
        if self.trainer.world_size == 1:
            self._raise_for_batch(int(self._bad_batch))
        elif shared and int(bad) >= 0:  # then it is so on all ranks, and one of them may know of an earlier batch
            self.raise_if_non_finite()

    @property
    def saw_non_finite(self) -> bool:
        """Whether this rank has noted a value that is not finite; waits for its device."""
        return self._bad_batch is not None and int(self._bad_batch) >= 0

    def raise_if_non_finite(self) -> None:
        """Raise for the earliest batch that `check_finite` has noted on any rank; all ranks must call it."""
        own = float(self._bad_batch) if self._bad_batch is not None and self.saw_non_finite else _NONE
        earliest = reduce_number(own, ReduceOp.MIN)
        self._raise_for_batch(-1 if earliest == _NONE else int(earliest))

    def raise_if_diverged(self) -> None:
        """Raise for a training loss, weights or a validation loss that are not finite; all ranks must call it.

        Raises:
            DivergedRun: There is one on some rank; the message has the step.
        """
        self.raise_if_non_finite()
        weights = [p.to_local() if isinstance(p, DTensor) else p for p in self.parameters()]
        finite = [torch.isfinite(weight.detach()).all() for weight in weights]
        bad = 2 if finite and not bool(torch.stack(finite).all()) else int(not self.validation_is_finite())
        if worst := int(reduce_number(bad, ReduceOp.MAX)):
            what = "weights are not finite" if worst == 2 else "the validation loss is not finite"
            raise DivergedRun(f"{what} after step {self.steps_done}; lower optimizer.lr and start a new run")

    def _raise_for_batch(self, batch: int) -> None:
        if batch < 0:
            return
        loop = self.trainer.fit_loop
        loader = self.trainer.train_dataloader
        in_epoch = loop.batch_idx - (loop.total_batch_idx - batch)
        samples = loader.indices(in_epoch) if isinstance(loader, EpochLoader) and in_epoch >= 0 else []
        step = batch // self.trainer.accumulate_grad_batches + 1
        shown = ", ".join(map(str, samples[:32])) + (", ..." if len(samples) > 32 else "")
        raise DivergedRun(
            f"the training loss or its gradient is not finite at step {step}, batch {batch}"
            + (f", training samples {shown}" if samples else "")
            + "; lower optimizer.lr, or inspect these samples. No checkpoint contains it"
        )
