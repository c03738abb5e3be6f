"""Base class of measures of generated images, and their input."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor

from aigc.errors import InputError
from aigc.metrics.image.pairs import PairConsumer
from aigc.metrics.image.statistics import Statistics


class Comparison(NamedTuple):
    """Input of a measure."""

    generated: Statistics
    real: Statistics | None
    """None where only generated images are given."""
    heldout: Statistics | None
    """A random part of the real images by themselves."""


class ImageMeasure(ABC):
    """Base class of measures: one score or a few of a set of generated images."""

    metric_name: ClassVar[str] = ""
    """Name for `aigc score-images --metric`; empty: it has none."""
    names: tuple[str, ...] = ()
    """Names of its scores."""
    higher_is_better: ClassVar[bool | None] = None
    """Whether larger scores are better; None where that differs between its scores."""
    needs_features = False
    """Whether it needs the features of the images, or their logits, and not only mean and covariance."""
    needs_real = True
    """Whether it compares with real images."""

    @abstractmethod
    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Return name to score.

        Args:
            comparison: What is compared.
            consumer: The one that `consumer` gave, after it has seen all pairs of features.

        Raises:
            InputError: The images do not suffice.
        """

    def refuses(self, generated: int, real: int, classes: int | None) -> str | None:
        """Return why it cannot measure these numbers of images and classes of an extractor; None if it can."""
        return None

    def counts(self, comparison: Comparison, name: str) -> list[str]:
        """Return the numbers of images behind a score; of a large set only some features are kept."""
        sets = [comparison.generated, comparison.real] if self.needs_real else [comparison.generated]
        return [_count(one, self.needs_features) for one in sets if one is not None]

    def consumer(self) -> PairConsumer | None:
        """Return the consumer of pairs of features, which are visited in one pass for all measures."""
        return None

    def options(self, comparison: Comparison) -> str:
        """Return the options that change the scores, for a signature: `subsets:100|size:1000`."""
        return ""


def _count(one: Statistics, of_features: bool) -> str:
    if of_features and one.features is not None:
        return str(len(one.features))
    return "unknown" if one.count is None else str(one.count)


def real_of(comparison: Comparison) -> Statistics:
    """Return the real images.

    Raises:
        InputError: There are none.
    """
    if comparison.real is None:
        raise InputError("this metric compares with real images, and none are given")
    return comparison.real


def features_of(one: Statistics) -> Tensor:
    """Return the features that were kept, float32 of shape (kept, dimensions).

    Raises:
        InputError: None were.
    """
    if one.features is None:
        raise InputError(
            "the statistics hold no features, only their mean and covariance: they serve the Fréchet distance alone; "
            "measure the images themselves"
        )
    return one.features
