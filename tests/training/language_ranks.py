"""What one and two ranks find when a language model trains: weights, reductions, and the batch that diverges."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback
from pytorch_lightning.strategies import DDPStrategy

from aigc.callbacks import EarlyStopping, Ending, Monitored, Throughput
from aigc.errors import DivergedRun
from aigc.optim import Muon
from aigc.runs.files import write_atomic
from aigc.tasks import CausalLM
from tests.training.helpers import text_data, tiny_model, trainer
from tests.training.rank_worlds import main, ranked
from tests.unit.metrics.worlds import counted

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


def fit(
    folder: Path, rank: int, world: int, bad: int = -1, optimizer: Any = torch.optim.SGD, **settings: Any
) -> Watched:
    """Train a few steps on rows with very different numbers of targets."""
    data = text_data(folder, TEXTS, packing=False, batch_size=4 // world, sequence_length=128)
    # Several ranks take some of the logits at a time, and one alone takes all: the numbers must be the same.
    task = Watched(tiny_model(data), partial(optimizer, lr=0.1), chunked_loss=world > 1)
    task.bad = bad if rank == world - 1 else -1
    chosen = {"max_steps": 3, "limit_train_batches": 6, "log_every_n_steps": 100, "limit_val_batches": 0}
    trainer(folder, **(chosen | ranked(DDPStrategy, world) | settings)).fit(task, datamodule=data)
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


def stopping(folder: Path, rank: int, world: int) -> dict[str, Any]:
    """What callbacks see with Muon, until early stopping ends training."""
    seen: list[dict[str, float]] = []

    class Looks(Callback):
        def on_validation_end(self, trainer: Any, module: Any) -> None:
            seen.append({name: float(value) for name, value in trainer.callback_metrics.items()})

    early = EarlyStopping("val/perplexity", mode="min", min_delta=1e9, patience=2)  # nothing is such an improvement
    named = {"callbacks.early": early}
    callbacks = [Throughput(), early, Looks(), Monitored(named), Ending(named)]
    between = {"val_check_interval": 2, "check_val_every_n_epoch": None, "limit_val_batches": 1.0}
    chosen = {"max_steps": 20, "log_every_n_steps": 2, "callbacks": callbacks, **between}
    task = fit(folder, rank, world, optimizer=Muon, **chosen)
    return {"seen": seen, "steps": task.steps_done, "weights": {n: w.detach() for n, w in task.named_parameters()}}


def measured(folder: Path, world: int) -> dict[str, float]:
    """Scores of a validation on two sets, whose rows do not divide among ranks."""
    more = folder / "more.txt"
    write_atomic(more, "\n".join(TEXTS[:7]) + "\n")
    settings: dict[str, Any] = {"packing": False, "batch_size": 2, "sequence_length": 128}
    data = text_data(folder, TEXTS, validation_sets={"more": str(more)}, **settings)
    task = CausalLM(tiny_model(data), partial(torch.optim.SGD, lr=0.1))
    trainer(folder, **ranked(DDPStrategy, world)).validate(task, datamodule=data, verbose=False)
    return task.latest


def find(folder: Path, rank: int, world: int) -> dict[str, Any]:
    """What one rank finds."""
    found: dict[str, Any] = {"trained": trained(folder, rank, world), "measured": measured(folder, world)}
    if world > 1:
        found["stopping"] = stopping(folder, rank, world)
        found["plain"] = diverging(folder, rank, world, log_every_n_steps=2)
        found["accumulating"] = diverging(folder, rank, world, log_every_n_steps=2, accumulate_grad_batches=4)
        found["clipped"] = diverging(folder, rank, world, accumulate_grad_batches=2, gradient_clip_val=0.5)
    return found


if __name__ == "__main__":
    main(find)
