"""Statistics of a set of images: mean and covariance of their features, and optionally the features."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aigc.errors import InputError
from aigc.printing import plural


class Statistics:
    """Statistics of the features of a set of images.

    Args:
        suffix: What the extractor adds to a score's name; empty for the reference Inception network.
        description: The extractor in a signature; empty when not known.
        identity: SHA-256 of the extractor's weights and preprocessing; empty when not known.
        count: How many images; None when a file does not say.
        mean: Mean of the features, float64 of shape (dimensions,).
        covariance: Their covariance with divisor count - 1, float64 of shape (dimensions, dimensions).
        indices: Which images `features` and `logits` belong to, in rising order, int64 of shape (kept,).
        features: Of the kept images, float32 of shape (kept, dimensions).
        logits: Of the kept images, float32 of shape (kept, classes).
        labels: Classes that the kept images were asked to show, int64 of shape (kept,); -1 where none was.
    """

    def __init__(
        self,
        suffix: str,
        description: str,
        identity: str,
        count: int | None,
        mean: Tensor,
        covariance: Tensor,
        indices: Tensor | None = None,
        features: Tensor | None = None,
        logits: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> None:
        self.suffix = suffix
        self.description = description
        self.identity = identity
        self.count = count
        self.mean = mean
        self.covariance = covariance
        self.indices = indices
        self.features = features
        self.logits = logits
        self.labels = labels

    @property
    def dimensions(self) -> int:
        """Numbers in a feature."""
        return len(self.mean)

    def without(self, part: "Statistics") -> "Statistics":
        """Return mean and covariance of the images without a part of them."""
        assert self.count is not None
        assert part.count is not None
        count = self.count - part.count
        mean = (self.count * self.mean - part.count * part.mean) / count
        outer = _outer(self) - _outer(part) - count * torch.outer(mean, mean)
        return Statistics(self.suffix, self.description, self.identity, count, mean, outer / (count - 1))

    def check_same_extractor(self, other: "Statistics") -> None:
        """Check that two sets have the same extractor.

        Raises:
            InputError: They were not.
        """
        if self.dimensions != other.dimensions:
            raise InputError(
                f"features of {plural(self.dimensions, 'dimension')} ({self.description or 'extractor unknown'}) "
                "cannot be "
                f"compared with features of {other.dimensions} ({other.description or 'extractor unknown'}): "
                "measure both with one extractor"
            )
        if self.identity and other.identity and self.identity != other.identity:
            raise InputError(
                f"these features were made by different networks: {self.description} and {other.description}; "
                "measure both with one extractor"
            )


def _outer(one: Statistics) -> Tensor:
    """Sum of the outer products."""
    assert one.count is not None
    return (one.count - 1) * one.covariance + one.count * torch.outer(one.mean, one.mean)


def smallest(indices: npt.NDArray[np.int64], number: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Draw images: return positions that depend on the indices alone, in any order of them.

    Args:
        indices: Distinct numbers of images, of shape (n,).
        number: How many to pick; all of them when there are no more.
        seed: Another one picks others.

    Returns:
        Positions in `indices`, by rising index.
    """
    if len(indices) <= number:
        return np.argsort(indices, kind="stable")
    drawn = np.argpartition(_mixed(indices, seed), number)[:number]
    return np.asarray(drawn[np.argsort(indices[drawn], kind="stable")])


def _mixed(indices: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.uint64]:
    """Apply the finaliser of SplitMix64 (Steele, Lea and Flood, 2014), which is injective."""
    mixed = indices.astype(np.uint64) + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)
