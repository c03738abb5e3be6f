"""Two ranks with half of a batch each: `python -m tests.unit.losses.losses_ranks FOLDER` writes what they find."""

import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
import torch._dynamo.backends.debugging  # before the ranks are forked, as it takes long
import torch.distributed as dist
from torch import Tensor, nn

from aigc.losses import R1, R2, LeCam, get, names, path_length_penalty
from tests.unit.losses.discriminators import Quadratic, images, phase_of
from tests.unit.metrics.worlds import fork_worlds, joined

COUNT = 6


def found(part: slice, compiled: bool) -> dict[str, Tensor]:
    """Gradients of all that is minimised, and averages, of a part of one batch; compiled, what knows other ranks."""
    regularisers, lecam = nn.ModuleList([R1(0.5), R2(0.5)]), LeCam(decay=0.5)
    average, discriminator = get("relativistic_average"), Quadratic(6)
    real, fake = (images(COUNT, 1, 2, 3, seed=seed)[part] for seed in (1, 2))
    phase, gradients = phase_of(discriminator, real, fake), {}
    for name in names():
        loss = get(name).discriminator(phase.real_logits, phase.fake_logits)
        loss = loss + sum(regulariser.weight * regulariser(phase, {}) for regulariser in regularisers)
        gradients[name] = gradient_of(loss, discriminator.parameters())
        deceived = get(name).generator(phase.real_logits, discriminator(real / 2))
        gradients[f"{name}_generator"] = gradient_of(deceived, discriminator.parameters())

    def together(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        seen = dataclasses.replace(phase, real_logits=real_logits, fake_logits=fake_logits)
        return average.discriminator(real_logits, fake_logits) + lecam(seen, {})

    whole = torch.compile(together, backend="aot_eager", fullgraph=True) if compiled else together
    gradients["together"] = gradient_of(whole(phase.real_logits, phase.fake_logits), discriminator.parameters())
    gradients |= dict(lecam.named_buffers())
    styles = real.flatten(1).requires_grad_()
    made = (discriminator.slope * styles.square()).view_as(fake)
    penalty, gradients["path_average"] = path_length_penalty(made, styles, fake, torch.zeros(()))
    return gradients | {"path_length": gradient_of(penalty, [discriminator.slope])}


def gradient_of(loss: Tensor, parameters: Iterable[Tensor]) -> Tensor:
    """In a row, averaged over the ranks as a training step does it."""
    flat = torch.cat([one.flatten() for one in torch.autograd.grad(loss, list(parameters), retain_graph=True)])
    if dist.is_initialized():
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
    return flat


def rank_of(world: int, rank: int, place: Path) -> None:
    """Find what one rank finds, and keep it."""
    torch.set_num_threads(1)
    half = COUNT // world
    part = slice(rank * half, (rank + 1) * half)
    with joined(world, rank, place):
        torch.save(found(part, compiled=world > 1), place / f"{world}-{rank}.pt")


if __name__ == "__main__":
    fork_worlds([1, 2], rank_of, Path(sys.argv[1]))
