"""Image statistics on several ranks, as forked processes with gloo; started by test_image_statistics.py.

Usage: python -m tests.unit.metrics.image_ranks FOLDER
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from aigc.metrics.image import (
    FeatureStatistics,
    FrechetDistance,
    InceptionScore,
    KernelDistance,
    PrecisionRecall,
    compare,
)
from aigc.metrics.image.extractors import Extracted, Extractor
from tests.unit.metrics.worlds import counted, fork_worlds, joined

WORLDS = (1, 3)
NUMBER = 60
MEASURES = (FrechetDistance(), KernelDistance(subsets=4, subset_size=20), InceptionScore(splits=3), PrecisionRecall(2))


class Linear(Extractor):
    """Fixed random features and classes of the mean colours of an image."""

    name = "linear"
    dimensions = 5
    classes: int | None = 4

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.randn(3 * 4, 9, generator=torch.Generator().manual_seed(0)))

    @property
    def description(self) -> str:
        return "linear"

    def extract(self, images: torch.Tensor) -> Extracted:
        cells = torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 2).flatten(1)
        found = cells @ self.weights
        return Extracted(found[:, :5], found[:, 5:])


def random_images(seed: int) -> torch.Tensor:
    """Images, uint8 of shape (NUMBER, 3, 4, 4)."""
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(0, 200 + 20 * seed, (NUMBER, 3, 4, 4), generator=chance, dtype=torch.uint8)


def shares(world: int) -> list[list[torch.Tensor]]:
    """Numbers of the images in the batches of each rank: unequal, and none at all for one of three."""
    numbers = torch.arange(NUMBER)
    return {
        1: [[numbers]],
        3: [[numbers[1::2]], [], [numbers[0::2][:3], numbers[0::2][3:]]],
    }[world]


def say(statistics: FeatureStatistics) -> dict[str, Any]:
    """What is found of the images, and what a compute costs."""
    with counted() as calls:
        generated = statistics.compute()
    real = FeatureStatistics(statistics.extractor, keep=True, over_ranks=False)
    real.update(random_images(1))
    values, signatures = compare(
        MEASURES if generated.features is not None else MEASURES[:1], generated, real.compute()
    )
    kept = None if generated.indices is None else generated.indices.tolist()
    return {"values": values, "signatures": signatures, "kept": kept, "count": generated.count, "calls": calls}


def measure(rank: int, world: int) -> dict[str, Any]:
    """Everything, with features of all, of some, and of none."""
    found = {}
    features, logits = Linear()(random_images(2))  # at once, as what a network rounds depends on the batch
    for name, settings in {"all": {"keep": True}, "some": {"keep": True, "reservoir": 25}, "none": {}}.items():
        statistics = FeatureStatistics(Linear(), **settings)
        for numbers in shares(world)[rank]:
            statistics.add(Extracted(features[numbers], logits[numbers]), numbers)
        found[name] = say(statistics)
        found[f"{name} again"] = say(statistics)
    return found


def rank_of(world: int, rank: int, place: Path) -> None:
    """One rank: it writes what it found."""
    warnings.simplefilter("ignore")
    with joined(world, rank, place):
        found = measure(rank, world)
    torch.save(found, place / f"{world}-{rank}.pt")


def main(place: Path) -> None:
    """All worlds after each other; forked, as torch takes seconds to import."""
    fork_worlds(WORLDS, rank_of, place)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
