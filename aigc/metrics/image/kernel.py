"""The kernel distance: squared maximum mean discrepancy under a cubic kernel, with features of Inception the KID."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aigc.config.types import Bound
from aigc.errors import InputError
from aigc.metrics.image.inputs import Array, as_features
from aigc.metrics.image.measure import Comparison, ImageMeasure, features_of, real_of
from aigc.metrics.image.pairs import PairConsumer, Points, visit_pairs

Rows = npt.NDArray[np.int64]


class KernelDistance(ImageMeasure):
    """The unbiased squared MMD under a cubic kernel (Bińkowski et al., 2018), `kid` and `kid_std`; lower is better.

    Args:
        subsets: How many pairs of subsets are drawn.
        subset_size: Images in each; fewer where there are fewer.
        seed: Of the draws; 2020 is torch-fidelity's.
    """

    metric_name = "kid"
    names = ("kid", "kid_std")
    higher_is_better = False
    needs_features = True

    def __init__(
        self,
        subsets: Annotated[int, Bound(1)] = 100,
        subset_size: Annotated[int, Bound(2)] = 1000,
        seed: Annotated[int, Bound(0, 4294967295)] = 2020,
    ) -> None:
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed

    def consumer(self) -> "KernelSums":
        """Return the sums over all subsets."""
        return KernelSums(self.subsets, self.subset_size, self.seed)

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Return mean and standard deviation over the subsets."""
        assert isinstance(consumer, KernelSums)
        mean, deviation = consumer.result()
        return {"kid": mean, "kid_std": deviation}

    def options(self, comparison: Comparison) -> str:
        """Return number, size and seed of the subsets."""
        size = min(self.subset_size, len(features_of(comparison.generated)), len(features_of(real_of(comparison))))
        return f"subsets:{self.subsets}|size:{size}|seed:{self.seed}"


def kernel_distance(
    x: Array, y: Array, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
    """Compute the unbiased squared MMD under (x·y / dimensions + 1)³ over subsets (Bińkowski et al., 2018).

    Subsets are drawn as torch-fidelity draws them, and are as large as the smaller set where that has fewer than
    `subset_size` images, as NVIDIA and clean-fid do it. The distance may be negative.

    Args:
        x: Features of generated images, floating, of shape (n, dimensions).
        y: Features of real images, of shape (m, dimensions).
        subsets: How many pairs of subsets are drawn.
        subset_size: Images in a subset, drawn without replacement.
        seed: Of NumPy's `RandomState`; 2020 is torch-fidelity's.

    Returns:
        Mean and standard deviation over the subsets (divisor: their number).

    Raises:
        TypeError: Features are not a floating-point array or tensor.
        ValueError: Shapes do not fit.
        InputError: There are fewer than two images, or features are not finite; `subsets` is below 1, `subset_size`
            below 2.
    """
    sums = KernelSums(subsets, subset_size, seed)
    sums.fill(as_features(x, "generated"), as_features(y, "real"))
    return sums.result()


class KernelSums(PairConsumer):
    """The kernel distance of all subsets at once: what lies in which subset is a thin matrix beside each block.

    Args:
        subsets: How many pairs of subsets are drawn.
        subset_size: Images in a subset; fewer where a set has fewer.
        seed: Of the draws.

    Raises:
        InputError: `subsets` is below 1, or `subset_size` below 2.
    """

    def __init__(self, subsets: int = 100, subset_size: int = 1000, seed: int = 2020) -> None:
        if subsets < 1:
            raise InputError(f"subsets is {subsets}, it must be at least 1")
        if subset_size < 2:
            raise InputError(f"subset_size is {subset_size}, it must be at least 2: a pair of images is compared")
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed
        self._distances: Tensor | None = None

    def draws(self, n: int, m: int) -> Iterator[tuple[Rows, Rows]]:
        """Yield the indices of each subset of n generated and m real images."""
        size = min(self.subset_size, n, m)
        random = np.random.RandomState(self.seed)
        for _ in range(self.subsets):
            yield random.choice(n, size, replace=False), random.choice(m, size, replace=False)

    def fill(self, generated: Tensor, real: Tensor) -> None:
        """Visit the pairs without other consumers: subset by subset where that means fewer pairs."""
        size = min(self.subset_size, len(generated), len(real))
        if 4 * self.subsets * size**2 < (len(generated) + len(real)) ** 2:
            self._distances = _one_by_one(generated, real, self)
        else:
            visit_pairs(generated, real, [self])

    def start(self, sets: tuple[Points, Points]) -> None:
        """Draw the subsets."""
        self._distances = None
        like = sets[0].centred
        self._members = tuple(like.new_zeros(self.subsets, len(points)) for points in sets)
        for subset, places in enumerate(self.draws(len(sets[0]), len(sets[1]))):
            for members, drawn in zip(self._members, places, strict=True):
                members[subset, torch.from_numpy(drawn).to(like.device)] = 1
        self._size = min(self.subset_size, len(sets[0]), len(sets[1]))
        # The kernel is (middle + deviation)³. Its constant part cancels in the distance: only the rest is summed up,
        # which float32 can do without losing the difference of large sums.
        self._scale = 1 / like.shape[1]
        self._middle = 1 + self._scale * float(sets[0].centre.double().square().sum())
        self._shifts = tuple((self._scale * points.shifts()).to(like.dtype) for points in sets)
        self._sums = torch.zeros(3, self.subsets, dtype=torch.float64, device=like.device)

    def within(self, which: int, rows: slice, columns: slice, dots: Tensor) -> None:
        """Sum over the pairs of one set; without an image with itself."""
        kernel = self._kernel(dots, self._shifts[which][rows], self._shifts[which][columns])
        if rows == columns:
            kernel.fill_diagonal_(0)
        members = self._members[which]
        self._sums[which] += (1 if rows == columns else 2) * _sums(kernel, members[:, rows], members[:, columns])

    def between(self, rows: slice, columns: slice, dots: Tensor) -> None:
        """Sum over the pairs between the sets."""
        kernel = self._kernel(dots, self._shifts[0][rows], self._shifts[1][columns])
        self._sums[2] += _sums(kernel, self._members[0][:, rows], self._members[1][:, columns])

    def result(self) -> tuple[float, float]:
        """Return mean and standard deviation over the subsets, after all pairs."""
        distances = self._distances
        if distances is None:
            size = self._size
            distances = self._sums[:2].sum(dim=0) / (size * (size - 1)) - 2 * self._sums[2] / size**2
        return float(distances.mean()), float(distances.std(correction=0))

    def _kernel(self, dots: Tensor, of_rows: Tensor, of_columns: Tensor) -> Tensor:
        """Return the kernel less its constant part: (m + e)³ - m³ = ((e + 3m) e + 3m²) e."""
        deviation = torch.add(of_rows[:, None], dots, alpha=self._scale).add_(of_columns)
        kernel = deviation + 3 * self._middle
        return kernel.mul_(deviation).add_(3 * self._middle**2).mul_(deviation)


def _sums(kernel: Tensor, of_rows: Tensor, of_columns: Tensor) -> Tensor:
    """Return the sum over the pairs of rows and columns of each subset, float64."""
    return ((of_rows @ kernel) * of_columns).sum(dim=1, dtype=torch.float64)


def _one_by_one(generated: Tensor, real: Tensor, sums: KernelSums) -> Tensor:
    """Return the distance of each subset, float64."""
    one = KernelSums(1, sums.subset_size)
    distances = []
    for places in sums.draws(len(generated), len(real)):
        chosen = (torch.from_numpy(place) for place in places)
        x, y = (rows[place.to(rows.device)] for rows, place in zip((generated, real), chosen, strict=True))
        visit_pairs(x, y, [one])
        distances.append(one.result()[0])
    return torch.tensor(distances, dtype=torch.float64)
