"""Precision, recall, density and coverage: which images lie in the balls around the others."""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from aigc.config.types import Bound
from aigc.errors import InputError
from aigc.metrics.image.inputs import Array
from aigc.metrics.image.measure import Comparison, ImageMeasure
from aigc.metrics.image.pairs import PairConsumer, Points, visit_pairs
from aigc.printing import plural

_ROUNDING = 4
"""Units of rounding in a squared distance made of dot products, beside those that show in an image's own to itself."""


class PRDC(NamedTuple):
    """How well generated images match real ones; higher is better."""

    precision: float
    """Share of generated images in the ball of a real one."""
    recall: float
    """Share of real images in the ball of a generated one."""
    density: float
    """Mean number of real balls that a generated image lies in, divided by k; may exceed 1."""
    coverage: float
    """Share of real images in whose ball a generated one lies."""


class PrecisionRecall(ImageMeasure):
    """`precision`, `recall` (Kynkäänniemi et al., 2019), `density`, `coverage` (Naeem et al., 2020); higher is better.

    Args:
        k: Which nearest neighbour gives the radius of a ball; torch-fidelity and NVIDIA take 3, Naeem et al. 5.
    """

    metric_name = "precision_recall"
    names = ("precision", "recall", "density", "coverage")
    higher_is_better = True
    needs_features = True

    def __init__(self, k: Annotated[int, Bound(1)] = 3) -> None:
        self.k = k

    def refuses(self, generated: int, real: int, classes: int | None) -> str | None:
        """Return why it cannot measure: there are fewer images than neighbours."""
        fewest = min(generated, real)
        return (
            f"k is {self.k}, but there are {plural(fewest, 'image')}: take a k below that" if self.k >= fewest else None
        )

    def consumer(self) -> "Manifold":
        """Count what lies in the balls around both sets."""
        return Manifold(self.k)

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Return all four, as shares; density may exceed one."""
        assert isinstance(consumer, Manifold)
        return dict(consumer.result()._asdict())

    def options(self, comparison: Comparison) -> str:
        """Return the neighbour."""
        return f"k:{self.k}"


def precision_recall_density_coverage(real: Array, fake: Array, k: int = 5) -> PRDC:
    """Compare two sets by the balls around their images, each of which ends at its image's k-th nearest neighbour.

    Neighbours are others of the same set. Precision and recall (Kynkäänniemi et al., 2019) take a ball with its border,
    as torch-fidelity and NVIDIA do; density and coverage (Naeem et al., 2020) without, as their authors' prdc does.
    Distances that are equal up to rounding count as equal: copies of an image are at distance 0, and the balls of k + 1
    copies hold copies only. Features of float32 tell distances apart down to about a thousandth of the distance to the
    mean of all features; give float64 where clusters are tighter than that.

    Args:
        real: Features, floating, of shape (m, dimensions).
        fake: Features of generated images, of shape (n, dimensions).
        k: Which neighbour; torch-fidelity and NVIDIA take 3 for precision and recall, prdc takes 5.

    Raises:
        TypeError: Features are not a floating-point array or tensor.
        ValueError: Shapes do not fit.
        InputError: Features are not finite, or k is not from 1 to the number of images less one, on either side.
    """
    manifold = Manifold(k)
    visit_pairs(fake, real, [manifold])
    return manifold.result()


class Manifold(PairConsumer):
    """Finds the radii of the balls from the pairs within the sets, then what lies in them from the pairs between.

    Distances are held squared and halved: |a|²/2 + |b|²/2 - a·b.

    Args:
        k: Which nearest neighbour of an image gives its radius.

    Raises:
        InputError: k is below 1.
    """

    def __init__(self, k: int = 5) -> None:
        if k < 1:
            raise InputError(f"k is {k}, it must be at least 1")
        self.k = k

    def start(self, sets: tuple[Points, Points]) -> None:
        """Begin with no neighbour known, and no image in a ball."""
        for points, name in zip(sets, ("generated", "real"), strict=True):
            if self.k >= len(points):
                raise InputError(
                    f"k is {self.k}, but there are {plural(len(points), f'{name} image')}: take a k below that"
                )
        like = sets[0].centred
        self._halves = tuple((points.squares() / 2).to(like.dtype) for points in sets)
        self._to_itself = tuple(torch.zeros_like(halves) for halves in self._halves)
        self._nearest = tuple(like.new_full((len(points), self.k), torch.inf) for points in sets)
        self._precise = torch.zeros(len(sets[0]), dtype=torch.bool, device=like.device)
        self._inside = torch.zeros(len(sets[0]), dtype=torch.int64, device=like.device)
        self._recalled, self._covered = torch.zeros(2, len(sets[1]), dtype=torch.bool, device=like.device)
        self._balls: list[tuple[Tensor, Tensor]] = []

    def within(self, which: int, rows: slice, columns: slice, dots: Tensor) -> None:
        """Keep the nearest neighbours."""
        distances = self._distances(which, which, rows, columns, dots)
        if rows == columns:
            self._to_itself[which][rows] = distances.diagonal().abs()
            distances.fill_diagonal_(torch.inf)
        else:
            self._keep(which, columns, distances.T)
        self._keep(which, rows, distances)

    def between(self, rows: slice, columns: slice, dots: Tensor) -> None:
        """Find what lies in which ball."""
        if not self._balls:
            self._balls = [self._radii(which) for which in (0, 1)]
        (_, closed_fake), (open_real, closed_real) = self._balls
        distances = self._distances(0, 1, rows, columns, dots)
        self._precise[rows] |= (distances - closed_real[columns]).amin(dim=1) <= 0
        self._recalled[columns] |= (distances - closed_fake[rows, None]).amin(dim=0) <= 0
        self._inside[rows] += (distances < open_real[columns]).sum(dim=1)
        self._covered[columns] |= distances.amin(dim=0) < open_real[columns]

    def result(self) -> PRDC:
        """Return the four shares, after all pairs."""
        shares = [float(part.double().mean()) for part in (self._precise, self._recalled, self._inside, self._covered)]
        return PRDC(shares[0], shares[1], shares[2] / self.k, shares[3])

    def _distances(self, first: int, second: int, rows: slice, columns: slice, dots: Tensor) -> Tensor:
        return torch.add(self._halves[first][rows, None], self._halves[second][columns]).sub_(dots)

    def _keep(self, which: int, rows: slice, distances: Tensor) -> None:
        few = min(self.k, distances.shape[1])
        found = distances.topk(few, dim=1, largest=False, sorted=False).values
        both = torch.cat([self._nearest[which][rows], found], dim=1)
        self._nearest[which][rows] = both.topk(self.k, dim=1, largest=False).values

    def _radii(self, which: int) -> tuple[Tensor, Tensor]:
        """Return the radii of the balls without and with their borders; between them a distance equals the radius."""
        radii = self._nearest[which].amax(dim=1)
        # An image is at distance 0 from itself and from its copies: what else was found for it is rounding.
        rounding = self._to_itself[which] + _ROUNDING * torch.finfo(radii.dtype).eps * (self._halves[which] + radii)
        return radii - rounding, radii + rounding
