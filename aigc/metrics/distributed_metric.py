"""Base classes of torchmetrics metrics that are safe over several ranks."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from aigc.distributed.collectives import sync_sum

_MARKS = itertools.count(1)

Gather = Callable[[Tensor, Any], list[Tensor]]


class DistributedMetric(Metric):
    """A torchmetrics metric whose `compute` is safe on several ranks; it must be called on each of them.

    Args:
        gather: Function that combines the states of the ranks, one of `aigc.distributed.collectives`.
        over_ranks: Whether `compute` covers all ranks, or this one alone.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, gather: Gather, over_ranks: bool = True) -> None:
        # Without the cache, all ranks take part in each compute: a rank without new data would not, and hang the rest.
        super().__init__(dist_sync_fn=gather, sync_on_compute=over_ranks, compute_with_cache=False)

    @contextmanager
    def sync_context(self, *args: Any, should_unsync: bool = True, **kwargs: Any) -> Iterator[None]:
        """Combine the states of the ranks, and restore the own state afterwards, also after an error."""
        try:
            with super().sync_context(*args, should_unsync=should_unsync, **kwargs):
                yield
        finally:
            self.unsync(should_unsync=self._is_synced and should_unsync)

    def set_dtype(self, dst_type: str | torch.dtype) -> "DistributedMetric":
        """Change nothing: integers stay integers."""
        return self


class SumMetric(DistributedMetric):
    """A metric whose state is one row of integers, summed over batches and ranks by one all_reduce.

    Args:
        width: How many numbers.
    """

    sums: Tensor
    """The numbers, and a mark; int64 of shape (width + 1,)."""

    def __init__(self, width: int) -> None:
        super().__init__(sync_sum)
        # Metrics whose states are equal after one batch share a state in a MetricCollection from then on, whatever
        # their options: the mark keeps them apart. It is small because they are compared with a tolerance of 1e-5.
        start = torch.zeros(width + 1, dtype=torch.int64)
        start[-1] = next(_MARKS) % 2**15
        self.add_state("sums", start, dist_reduce_fx="sum")

    @property
    def counted(self) -> Tensor:
        """The numbers, without the mark; within `compute` they are those of all ranks."""
        return self.sums[:-1]

    def count(self, numbers: Tensor) -> None:
        """Add int64 numbers of shape (width,), on any device."""
        # Not in place: a state that was reset in inference mode could not be changed outside of it.
        self.sums = self.sums + torch.nn.functional.pad(numbers, (0, 1)).to(self.sums.device)
