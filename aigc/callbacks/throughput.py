"""Training throughput."""

import math
import time
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.distributed import ReduceOp

from aigc.callbacks.peak_flops import peak_flops
from aigc.distributed.data_rank import data_rank
from aigc.tasks import Task


class Throughput(Callback):
    """Records `train/<unit>_per_second` (tokens for a language model) between logged steps, without validation.

    The units of all ranks are added; the time is that of the slowest. Where the task knows its floating-point
    operations and the peak of the device is known, it also records `train/mfu`, the share of the peak that they are
    (model FLOPs utilisation; Chowdhery et al., 2022, PaLM, appendix B).
    """

    def __init__(self) -> None:
        self.unit = ""
        self.total_amount = 0
        self.total_seconds = 0.0
        self._amount = 0
        self._flops: Tensor | float = 0.0
        self._peak: float | None = None
        self._seconds = 0.0
        self._since: float | None = None
        self._ranks = self._together = 1

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock."""
        self._ranks = data_rank()[1]
        self._together = trainer.world_size // self._ranks
        assert isinstance(module, Task)
        self._peak = peak_flops(module.device, _is_half(trainer, module))
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
        if self._peak is not None:
            flops = module.flops(batch)
            self._flops = math.nan if flops is None else self._flops + flops
        if module.at_logged_step():
            self._take_time()
            amount = int(module.over_ranks(self._amount)) // self._together
            seconds = module.over_ranks(self._seconds, ReduceOp.MAX)
            if seconds > 0:
                module.record({f"train/{module.unit}_per_second": amount / seconds})
                self._record_utilisation(trainer, module, seconds)
            self.total_amount, self.total_seconds = self.total_amount + amount, self.total_seconds + self._seconds
            self._amount, self._flops, self._seconds = 0, 0.0, 0.0

    def _record_utilisation(self, trainer: Trainer, module: Task, seconds: float) -> None:
        if self._peak is None:
            return
        flops = module.over_ranks(self._flops) / self._together
        if not math.isnan(flops):
            module.record({"train/mfu": flops / (seconds * self._peak * trainer.world_size)})

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


def _is_half(trainer: Trainer, module: Task) -> bool:
    """Return whether matrices are multiplied in bfloat16 or float16."""
    weights = next((weight.dtype for weight in module.parameters()), torch.float32)
    return str(trainer.precision).startswith(("bf16", "16")) or weights.itemsize == 2
