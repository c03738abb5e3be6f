"""What one and two ranks find when a language model trains: weights, reductions, and the batch that diverges."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy

from aigc.errors import DivergedRun
from aigc.tasks import CausalLM
from tests.training.helpers import text_data, tiny_model, trainer
from tests.unit.metrics.worlds import counted, fork_worlds

TEXTS = ["山" * (3 * n + 1) for n in range(1, 40)]
BAD = 3
"""The batch of the last rank whose loss is not finite."""


class Watched(CausalLM):
    """A task whose loss is not finite in one batch of one rank."""

    bad = -1

    def training_step(self, batch: dict[str, Any], batch_index: int) -> torch.Tensor:
        with counted() as calls:
            loss = super().training_step(batch, batch_index)
        self.reductions = [*getattr(self, "reductions", []), len(calls)]
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        with counted() as calls:
            super().on_before_optimizer_step(optimizer)
        self.reductions.append(len(calls))

    def loss(self, batch: dict[str, Any]) -> torch.Tensor:
        loss = super().loss(batch)
        return loss * float("nan") if self.trainer.fit_loop.total_batch_idx == self.bad else loss


def fit(folder: Path, rank: int, world: int, bad: int = -1, **settings: Any) -> Watched:
    """Train a few steps on rows with very different numbers of targets."""
    data = text_data(folder, TEXTS, packing=False, batch_size=4 // world, sequence_length=128)
    task = Watched(tiny_model(data), partial(torch.optim.SGD, lr=0.1))
    task.bad = bad if rank == world - 1 else -1
    ranked = {"strategy": DDPStrategy(process_group_backend="gloo"), "devices": world} if world > 1 else {}
    chosen = (
        {"max_steps": 3, "limit_train_batches": 6, "log_every_n_steps": 100, "limit_val_batches": 0} | ranked | settings
    )
    trainer(folder, **chosen).fit(task, datamodule=data)
    return task


def trained(folder: Path, rank: int, world: int) -> dict[str, Any]:
    """Weights after a few steps of two micro-batches, clipped; and how often each asked the other ranks."""
    task = fit(folder, rank, world, accumulate_grad_batches=2, gradient_clip_val=0.5)
    weights = {name: weight.detach() for name, weight in task.model.state_dict().items()}
    return {"weights": weights, "reductions": task.reductions, "loss": task.latest["train/loss"]}


def diverging(folder: Path, rank: int, world: int, **settings: Any) -> str:
    """What is said when a loss of the last rank is not finite."""
    try:
        fit(folder, rank, world, bad=BAD, **{"max_steps": 6} | settings)
    except DivergedRun as error:
        return str(error)
    return "it trained"


def rank_of(world: int, rank: int, place: Path) -> None:
    """Find what one rank finds, and keep it."""
    torch.set_num_threads(1)
    if world > 1:
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "TORCHELASTIC_RUN_ID": "none"}
        os.environ.update({name: str(value) for name, value in told.items()} | {"MASTER_ADDR": "", "MASTER_PORT": "0"})
        dist.init_process_group("gloo", init_method=f"file://{place}/meeting", rank=rank, world_size=world)
    folder = place / f"{world}-{rank}"
    found: dict[str, Any] = {"trained": trained(folder, rank, world)}
    if world > 1:
        found["plain"] = diverging(folder, rank, world, log_every_n_steps=2)
        found["accumulating"] = diverging(folder, rank, world, log_every_n_steps=2, accumulate_grad_batches=4)
        found["clipped"] = diverging(folder, rank, world, accumulate_grad_batches=2, gradient_clip_val=0.5)
        dist.destroy_process_group()
    torch.save(found, place / f"{world}-{rank}.pt")


if __name__ == "__main__":
    fork_worlds([1, 2], rank_of, Path(sys.argv[1]))
