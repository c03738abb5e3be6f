"""Features to measure, and the measures by their definitions: every pair, in float64."""

import itertools

import numpy as np
import torch
from torch import Tensor

from aigc.metrics.image.manifold import PRDC


def features(images: int, dimensions: int, seed: int, rank: int = 8, noise: float = 0.1, spread: float = 1.0) -> Tensor:
    """Float32 such as a network's last layer gives: none negative, and near a space of few dimensions."""
    shared, own = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
    directions = torch.randn(rank, dimensions, generator=shared) / rank**0.5
    hidden = spread * torch.randn(images, rank, generator=own)
    return (hidden @ directions + noise * torch.randn(images, dimensions, generator=own)).relu_()


def distances(first: Tensor, second: Tensor) -> Tensor:
    """Distances in float64 by differences: equal rows are at 0, and a distance is the same from both ends."""
    return torch.cdist(first.double(), second.double(), compute_mode="donot_use_mm_for_euclid_dist")


def prdc(real: Tensor, fake: Tensor, k: int) -> PRDC:
    """Precision and recall with the balls' borders, density and coverage without."""
    radius_real, radius_fake = (distances(one, one).kthvalue(k + 1, dim=1).values for one in (real, fake))
    between = distances(fake, real)
    return PRDC(
        precision=float((between <= radius_real).any(dim=1).double().mean()),
        recall=float((between <= radius_fake[:, None]).any(dim=0).double().mean()),
        density=float((between < radius_real).double().sum(dim=1).mean() / k),
        coverage=float((between < radius_real).any(dim=0).double().mean()),
    )


def kid(x: Tensor, y: Tensor, subsets: int, size: int, seed: int) -> tuple[float, float]:
    """The kernel distance over subsets, each drawn from x and then from y."""
    random = np.random.RandomState(seed)
    found = []
    for _ in range(subsets):
        some = x.double().numpy()[random.choice(len(x), size, replace=False)]
        others = y.double().numpy()[random.choice(len(y), size, replace=False)]
        of_some, of_others, between = (
            (one @ other.T / x.shape[1] + 1) ** 3 for one, other in ((some, some), (others, others), (some, others))
        )
        same = sum(kernel.sum() - np.trace(kernel) for kernel in (of_some, of_others))
        found.append(same / (size * (size - 1)) - 2 * between.mean())
    return float(np.mean(found)), float(np.std(found))


def nearest_cosine(fake: Tensor, real: Tensor) -> float:
    """Mean over the generated images of the smallest 1 - |cos|, without zero vectors."""
    total = 0.0
    for one in fake.double():
        total += min(1 - abs(float(one @ other) / float(one.norm() * other.norm())) for other in real.double())
    return total / len(fake)


def lattice(images: int, dimensions: int, seed: int, side: int = 3) -> Tensor:
    """Points with few whole coordinates, so that many distances are equal and many points the same."""
    points = torch.tensor([*itertools.product(range(side), repeat=dimensions)], dtype=torch.float32)
    return points[torch.randint(len(points), (images,), generator=torch.Generator().manual_seed(seed))]
