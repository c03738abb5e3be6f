"""Training throughput."""

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.distributed import ReduceOp

from aigc.distributed.data_rank import data_rank
from aigc.tasks import Task


class Throughput(Callback):
    """Records `train/<unit>_per_second` (tokens for a language model) between logged steps, without validation.

    The units of all ranks are added; the time is that of the slowest.
    """

    def __init__(self) -> None:
        self.unit = ""
        self.total_amount = 0
        self.total_seconds = 0.0
        self._amount = 0
        self._seconds = 0.0
        self._since: float | None = None
        self._ranks = self._together = 1

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock."""
        self._ranks = data_rank()[1]
        self._together = trainer.world_size // self._ranks
        self._since = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop the clock."""
        self._take_time()
        self._since = None

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock again."""
        self._since = time.perf_counter()

    on_evaluation_start = on_validation_start
    on_evaluation_end = on_validation_end

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch; record at logged steps."""
        assert isinstance(module, Task)
        self.unit = module.unit
        self._amount += module.amount(batch)
        if module.at_logged_step():
            self._take_time()
            amount = int(module.over_ranks(self._amount)) // self._together
            seconds = module.over_ranks(self._seconds, ReduceOp.MAX)
            if seconds > 0:
                module.record({f"train/{module.unit}_per_second": amount / seconds})
            self.total_amount, self.total_seconds = self.total_amount + amount, self.total_seconds + self._seconds
            self._amount, self._seconds = 0, 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the totals, so that the mean of a resumed run is that of all its attempts."""
        if self._since is not None:
            self._take_time()
        since_then = self._amount * self._ranks  # approximate: the counts of the ranks differ by some tokens
        counted = {"amount": self.total_amount + since_then, "seconds": self.total_seconds + self._seconds}
        return {"unit": self.unit, **counted}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the totals."""
        self.unit = state_dict["unit"]
        self.total_amount, self.total_seconds = state_dict["amount"], state_dict["seconds"]

    def per_second(self) -> float | None:
        """Return the mean over the run; None before anything was counted."""
        return self.total_amount / self.total_seconds if self.total_seconds else None

    def _take_time(self) -> None:
        now = time.perf_counter()
        if self._since is not None:
            self._seconds += now - self._since
        self._since = now
