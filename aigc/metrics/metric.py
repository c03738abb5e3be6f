"""What torchmetrics leaves open about metrics over several ranks, closed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

Gather = Callable[[Tensor, Any], list[Tensor]]


class RankedMetric(Metric):
    """A torchmetrics metric whose `compute` is safe on several ranks; it must be called on each of them.

    Args:
        gather: What puts the states of the ranks together, a function of `aigc.metrics.collectives`.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, gather: Gather) -> None:
        # Without the cache, all ranks take part in each compute: a rank without new data would not, and hang the rest.
        super().__init__(dist_sync_fn=gather, compute_with_cache=False)

    @contextmanager
    def sync_context(self, *args: Any, should_unsync: bool = True, **kwargs: Any) -> Iterator[None]:
        """Put the states of the ranks together, and go back to the own state afterwards, after an error too."""
        try:
            with super().sync_context(*args, should_unsync=should_unsync, **kwargs):
                yield
        finally:
            self.unsync(should_unsync=self._is_synced and should_unsync)

    def set_dtype(self, dst_type: str | torch.dtype) -> "RankedMetric":
        """Change nothing: integers stay integers."""
        return self
