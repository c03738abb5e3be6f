"""One rank and two train the same GANs: `python -m tests.training.gan_ranks FOLDER` writes what each rank finds."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aigc import losses
from aigc.distributed.gradients import AveragedGradients, BareDDP
from aigc.errors import DivergedRun
from aigc.tasks import GanTask
from tests.training.gans import Batch, batches, fit, regularisers, small_gan, watch_gradients, watch_latents, weights
from tests.training.rank_worlds import main, ranked

R1_R2 = regularisers(R1={"gamma": 1.0}, R2={"gamma": 2.0})
LAZY = regularisers(R1={"gamma": 1.0, "every_n_steps": 2}, LeCam={"decay": 0.5})
PENALTY = {"loss": "wasserstein", "regularisers": regularisers(GradientPenalty={"weight": 1.0})}
CASES: dict[str, dict[str, Any]] = {
    f"{name}_{n_critic}": {"n_critic": n_critic, **settings}
    for n_critic in (1, 3)
    for name, settings in {
        **{name: {"loss": name, "regularisers": R1_R2} for name in losses.names()},
        "gradient_penalty": PENALTY,
        "lazy": {"regularisers": LAZY, "d_spectral": True, "generator_clip": 0.05, "micro_batches": 2},
    }.items()
}
"""Settings of `small_gan` by a name; two ranks with half of a batch each must have the gradients of one."""
SIZE = 12


class Dealt:
    """Numbers that are drawn for the batches of all ranks, of which each rank gets those of its own part."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world, self.calls = rank, world, 0

    def __call__(self, count: int, *shape: int) -> Tensor:
        self.calls += 1
        whole = torch.rand(count * self.world, *shape, generator=torch.Generator().manual_seed(self.calls))
        return whole[self.rank * count :][:count]


def share(batch: Batch, parts: int, rank: int, world: int) -> Batch:
    """A rank's share of each part of a batch."""
    return {name: values.unflatten(0, (parts, world, -1))[:, rank].flatten(0, 1) for name, values in batch.items()}


def gradients(folder: Path, rank: int, world: int, n_critic: int, **settings: Any) -> dict[str, Any]:
    """Of all optimiser steps, with what is random dealt; what was recorded, and the averaged generator."""
    given = {"d_spectral": False, "optimizer": partial(torch.optim.SGD, lr=0.02)} | settings
    task, dealt = small_gan(classes=3, n_critic=n_critic, **given), Dealt(rank, world)
    parts = n_critic * task.micro_batches
    task.latents = lambda count: dealt_in_parts(dealt, count, task.micro_batches)  # type: ignore[method-assign]
    for regulariser in task.regularisers.values():
        if isinstance(regulariser, losses.GradientPenalty):
            regulariser.draw = lambda real: {"shares": dealt(len(real), 1, 1, 1)}
    with watch_gradients() as found:
        fit(task, folder, [share(batch, parts, rank, world) for batch in batches(1, SIZE, 3)], **ranked(BareDDP, world))
    return {"gradients": found, "recorded": task.latest, "averaged": weights(task.averaged)}


def dealt_in_parts(dealt: Dealt, count: int, parts: int) -> Tensor:
    """Latents of micro-batches that are each shared among the ranks."""
    return torch.cat([dealt(count // parts, 4) for _ in range(parts)])


def in_earnest(folder: Path, rank: int, world: int) -> dict[str, Any]:
    """All that has a state, from weights of each rank's own, with what is random left to the ranks."""
    adaptive = {"_target_": "aigc.augmentation.AdaptiveAugment", "speed_images": 50, "target": -1.0, "every_n_steps": 1}
    task = small_gan(3, seed=rank, n_critic=2, g_batch_norm=True, regularisers=LAZY, augmentation=adaptive)
    frozen = task.model.generator.layers[1].bias  # as somebody fine-tunes it
    frozen.requires_grad_(False)
    drawn, own = watch_latents(task), {}
    plain = AveragedGradients.begin

    def begin(averages: AveragedGradients, *args: Any) -> None:
        if averages is task._averages["generator"] and task.steps_done == 2:  # the last time that images are made
            own.update({name: buffer.clone() for name, buffer in task.model.named_buffers() if "running_" in name})
        plain(averages, *args)

    AveragedGradients.begin = begin  # type: ignore[method-assign]
    fit(task, folder, batches(3, SIZE, 3, seed=rank), **ranked(BareDDP, world))
    return {"state": task.state_dict(), "latents": torch.cat(drawn), "own": own, "recorded": task.latest}


def diverging(folder: Path, rank: int, world: int) -> str:
    """What is raised on each rank when the loss of the last one is not finite."""
    task: GanTask = small_gan()
    if rank == world - 1:
        task._phases.generator.shown = lambda images: images * float("nan")
    try:
        fit(task, folder, batches(1), **ranked(BareDDP, world))
    except DivergedRun as error:
        return str(error)
    return "it trained"


def diverged(folder: Path, rank: int, world: int) -> str:
    """What is raised on each rank when a weight of the last one is not finite."""
    task: GanTask = small_gan()
    fit(task, folder, batches(1), **ranked(BareDDP, world))
    if rank == world - 1:
        next(task.model.parameters()).data[0] = float("nan")
    try:
        task.raise_if_diverged()
    except DivergedRun as error:
        return str(error)
    return "it is finite"


def find(folder: Path, rank: int, world: int) -> dict[str, Any]:
    """What one rank finds."""
    found: dict[str, Any] = {name: gradients(folder, rank, world, **case) for name, case in CASES.items()}
    if world > 1:
        found |= {"in_earnest": in_earnest(folder, rank, world), "diverging": diverging(folder, rank, world)}
        found["diverged"] = diverged(folder, rank, world)
    return found


if __name__ == "__main__":
    main(find)
