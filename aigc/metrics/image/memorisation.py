"""How near generated images are to real ones, and the Fréchet distance with a penalty for memorisation."""

from typing import Annotated

import torch
from torch import Tensor

from aigc.config.types import Bound
from aigc.metrics.image.frechet import frechet_distance
from aigc.metrics.image.inputs import ROWS, Array, in_float64
from aigc.metrics.image.measure import Comparison, ImageMeasure, real_of
from aigc.metrics.image.pairs import PairConsumer, Points, visit_pairs

_NOTHING = 1e-8
"""A Fréchet distance below this counts as none and is not raised, as in the reference."""


class Memorisation(ImageMeasure):
    """The Fréchet distance, increased where generated images are too near to real ones (Bai et al., 2021), `mifid`.

    `memorisation` beside it is the mean cosine distance to the nearest real image.

    Args:
        threshold: Below this distance the penalty sets in; the reference takes 0.1.
    """

    metric_name = "mifid"
    names = ("mifid", "memorisation")
    needs_features = True

    def __init__(self, threshold: Annotated[float, Bound(0, 1)] = 0.1) -> None:
        self.threshold = threshold

    def consumer(self) -> "NearestCosine":
        """Return the nearest real image of each."""
        return NearestCosine()

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Return penalised distance, and the distance to the nearest."""
        assert isinstance(consumer, NearestCosine)
        generated, real = comparison.generated, real_of(comparison)
        fid = frechet_distance(generated.mean, generated.covariance, real.mean, real.covariance)
        distance = consumer.result()
        return {"mifid": mifid(fid, distance, self.threshold), "memorisation": distance}

    def options(self, comparison: Comparison) -> str:
        """Return the threshold."""
        return f"threshold:{self.threshold}"


def memorisation_distance(fake: Array, real: Array) -> float:
    """Compute the mean over the generated images of the smallest 1 - |cos| to a real image (Bai et al., 2021).

    Near 0, generated images are copies of real ones up to the features' scale. The nearest image is found in the
    precision of the features; the distance to it is computed in float64, and is exactly 0 for a copy.

    A zero vector has no direction: it is at distance 0 from another one and at 1 from everything else. (torchmetrics
    drops it, and with it every vector whose numbers add up to 0.) A vector counts as zero where its length is so small
    beside that of the mean of all features that rounding hides its direction: 3e-4 of it in float32, 2e-8 in float64.

    Args:
        fake: Features of generated images, floating, of shape (n, dimensions).
        real: Features of real images, of shape (m, dimensions).

    Returns:
        From 0 to 1.

    Raises:
        TypeError: Features are not a floating-point array or tensor.
        ValueError: Shapes do not fit.
        InputError: There are fewer than two images, or features are not finite.
    """
    nearest = NearestCosine()
    visit_pairs(fake, real, [nearest])
    return nearest.result()


def mifid(fid: float, distance: float, threshold: float = 0.1, eps: float = 1e-14) -> float:
    """Compute the memorisation-informed Fréchet distance: `fid` / (`distance` + `eps`) below `threshold`, else `fid`.

    This is what the competition that it comes from scored by (Bai et al., 2021), and torchmetrics, with their numbers:
    at the threshold it jumps tenfold. A `fid` below 1e-8 gives 0.

    Args:
        fid: Fréchet distance of the features.
        distance: Their `memorisation_distance`.
        threshold: From this distance on nothing is memorised.
        eps: Keeps copies from an infinite score.
    """
    if fid <= _NOTHING:
        return 0.0
    return fid / (distance + eps) if distance < threshold else fid


class NearestCosine(PairConsumer):
    """Finds for each generated image the real one of the most similar or most opposite direction."""

    needs_within = False

    def start(self, sets: tuple[Points, Points]) -> None:
        """Begin with no image found."""
        self._sets = sets
        like, centre = sets[0].centred, sets[0].centre.double()
        least = torch.finfo(like.dtype).eps ** 0.5 * centre.norm()
        lengths = [torch.cat([rows.norm(dim=1) for rows in in_float64(points.features)]) for points in sets]
        self._zero = [length <= least for length in lengths]
        self._inverse = torch.where(self._zero[1], 0, 1 / lengths[1]).to(like.dtype)
        self._shifts = [points.shifts().to(like.dtype) for points in sets]
        self._offset = float(centre.square().sum())
        self._largest = like.new_full((len(sets[0]),), -1)
        self._nearest = torch.zeros(len(sets[0]), dtype=torch.int64, device=like.device)

    def within(self, which: int, rows: slice, columns: slice, dots: Tensor) -> None:
        """Do nothing: pairs within a set are not needed."""

    def between(self, rows: slice, columns: slice, dots: Tensor) -> None:
        """Keep the largest |cos|; the generated image's own length changes no order and is left out."""
        cosines = torch.add(dots, self._shifts[0][rows, None] + self._offset).add_(self._shifts[1][columns])
        found, nearest = cosines.mul_(self._inverse[columns]).abs_().max(dim=1)
        larger = found > self._largest[rows]
        self._largest[rows] = torch.where(larger, found, self._largest[rows])
        self._nearest[rows] = torch.where(larger, nearest + columns.start, self._nearest[rows])

    def result(self) -> float:
        """Return the mean distance to the image found, after all pairs."""
        fake, real = (points.features for points in self._sets)
        distances = []
        for first in range(0, len(fake), ROWS):
            some = slice(first, first + ROWS)
            distances.append(_distances(fake[some].double(), real[self._nearest[some]].double()))
        found = torch.cat(distances)
        found[self._zero[1][self._nearest]] = 1
        found[self._zero[0]] = 0 if bool(self._zero[1].any()) else 1
        return float(found.mean())


def _distances(one: Tensor, other: Tensor) -> Tensor:
    """Return 1 - |cos| of rows, by their difference: one less a cosine would lose the digits of a small one."""
    first, second = (torch.nn.functional.normalize(rows, dim=1, eps=0) for rows in (one, other))
    return torch.minimum((first - second).square().sum(dim=1), (first + second).square().sum(dim=1)) / 2
