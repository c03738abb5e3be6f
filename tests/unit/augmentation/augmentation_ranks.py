"""Augmentations that learn on two ranks, as forked processes with gloo; started by test_augmentation_ranks.py."""

import json
import sys
from pathlib import Path

import torch

from aigc.augmentation import AdaptiveAugment, Augmentation, ScheduledAugment
from tests.unit.metrics.worlds import fork_worlds, joined

STEPS = 11


def augments() -> list[Augmentation]:
    """One of each kind, in the middle of whose counts the steps end."""
    return [AdaptiveAugment(target=0.1, speed_images=300, every_n_steps=2), ScheduledAugment(ramp_images=400)]


def logits(step: int, rank: int) -> torch.Tensor:
    """What a rank sees: unequal in number, and of opposite mean."""
    source = torch.Generator().manual_seed(step * 2 + rank)
    return torch.randn(5 + 3 * rank, generator=source) + (1, -0.5)[rank]


def states(steps: list[list[torch.Tensor]]) -> list[list[list[float]]]:
    """All that is kept after each step, of each augmentation."""
    found = []
    for augment in augments():
        found.append([])
        for step in steps:
            augment.adapt(torch.cat(step))
            found[-1].append([value.tolist() for value in augment.state_dict().values()])
    return found


def rank_of(world: int, rank: int, place: Path) -> None:
    """One rank: it writes what it found to `<rank>.json`."""
    with joined(world, rank, place):
        found = states([[logits(step, rank)] for step in range(STEPS)])
    (place / f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    fork_worlds([2], rank_of, Path(sys.argv[1]))
