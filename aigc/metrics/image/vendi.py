"""The Vendi score: how many different images there are."""

import torch
from torch import Tensor

from aigc.metrics.image.inputs import Array, as_features, in_float64
from aigc.metrics.image.measure import Comparison, ImageMeasure, features_of
from aigc.metrics.image.moments import add_outer, mirror
from aigc.metrics.image.pairs import PairConsumer


class Vendi(ImageMeasure):
    """The effective number of different images under cosine similarity (Friedman and Dieng, 2023), `vendi`."""

    metric_name = "vendi"
    names = ("vendi",)
    higher_is_better = True
    needs_features = True
    needs_real = False

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Return a number from 1 (all alike) to the number of images."""
        return {"vendi": vendi_score(features_of(comparison.generated))}


def vendi_score(features: Array) -> float:
    """Compute exp of the entropy of the eigenvalues of K / n, K the cosines of all pairs (Friedman and Dieng, 2023).

    It is the effective number of different images: 1 where all features have one direction, n where they are
    orthogonal. It grows with the number of images: compare equal numbers only. The eigenvalues are those of the smaller
    Gram matrix, in float64. A zero vector has cosine 1 with another one, and 0 with everything else.

    Args:
        features: Floating, of shape (n, dimensions), on any device.

    Returns:
        From 1 to the smaller of n and dimensions (with zero vectors, one more).

    Raises:
        TypeError: Features are not a floating-point array or tensor.
        ValueError: Their shape is another one.
        InputError: There are fewer than two images, or features are not finite.
    """
    rows = as_features(features)
    zero = ~rows.any(dim=1)
    rows = rows[~zero]  # zero vectors stand by themselves: all of them are one direction more
    shares = torch.linalg.eigvalsh(_gram(rows)) / len(zero)
    shares = torch.cat([shares.clamp(min=0), zero.double().mean()[None]])
    return float(torch.special.entr(shares).sum().exp())


def _gram(rows: Tensor) -> Tensor:
    """Return the smaller matrix that has the eigenvalues of the cosines; float64."""
    if len(rows) <= rows.shape[1]:
        unit = torch.nn.functional.normalize(rows.double(), dim=1, eps=0)
        return unit @ unit.T
    outer = rows.new_zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
    for part in in_float64(rows):
        add_outer(outer, torch.nn.functional.normalize(part, dim=1, eps=0))
    return mirror(outer)
