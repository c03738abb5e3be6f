"""Measures of generated images as parts of a config: their options, and how they were made."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from aigc.config.types import Bound
from aigc.errors import InputError
from aigc.metrics.image.frechet import frechet_distance
from aigc.metrics.image.inception_scores import inception_score
from aigc.metrics.image.kernel import KernelSums
from aigc.metrics.image.manifold import Manifold
from aigc.metrics.image.memorisation import NearestCosine, mifid
from aigc.metrics.image.pairs import PairConsumer, visit_pairs
from aigc.metrics.image.statistics import Statistics
from aigc.metrics.image.vendi import vendi_score
from aigc.runs.console import log


class Comparison(NamedTuple):
    """What a measure looks at."""

    generated: Statistics
    real: Statistics | None
    """None where only generated images are given."""
    heldout: Statistics | None
    """A random part of the real images by themselves."""


class ImageMeasure(ABC):
    """A number, or a few, about a set of generated images."""

    needs_features = False
    """Whether it needs the features of the images, or their logits, and not only mean and covariance."""
    needs_real = True
    """Whether it compares with real images."""

    @abstractmethod
    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Name to score.

        Args:
            comparison: What is compared.
            consumer: The one that `consumer` gave, after it has seen all pairs of features.

        Raises:
            InputError: The images do not suffice.
        """

    def consumer(self) -> PairConsumer | None:
        """What has to see the pairs of features, in one pass for all measures."""
        return None

    def options(self, comparison: Comparison) -> str:
        """What else changes the scores, in a signature: `subsets:100|size:1000`."""
        return ""


class FrechetDistance(ImageMeasure):
    """The Fréchet distance of the features' Gaussians (Heusel et al., 2017), `fid`; lower is better.

    Beside it stands `fid_floor`: that of a random part of the real images, as many as were generated or the half, to
    the rest of them. It falls with the number of images on both sides: compare equal numbers only.
    """

    def __init__(self) -> None:
        self._warned = False

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """`fid`, and `fid_floor` where real images are at hand."""
        generated, real = comparison.generated, _real(comparison)
        self._warn_of_few(generated, real)
        found = {"fid": frechet_distance(generated.mean, generated.covariance, real.mean, real.covariance)}
        part = comparison.heldout
        if part is not None and real.count is not None and part.count is not None and real.count - part.count > 1:
            rest = real.without(part)
            found["fid_floor"] = frechet_distance(part.mean, part.covariance, rest.mean, rest.covariance)
        return found

    def _warn_of_few(self, *sets: Statistics) -> None:
        """Once is enough: the same numbers of images are compared again and again."""
        fewest = min(one.count for one in sets if one.count is not None) if any(one.count for one in sets) else None
        if fewest is None or fewest >= sets[0].dimensions or self._warned:
            return
        self._warned = True
        log.warning(
            "fid%s: fewer images than dimensions (%s, %s): the distance is too large by much, fid_floor%s says by how "
            "much with real images; kid has no such bias",
            sets[0].suffix,
            f"{fewest:,}",
            f"{sets[0].dimensions:,}",
            sets[0].suffix,
        )


class KernelDistance(ImageMeasure):
    """The unbiased squared MMD under a cubic kernel (Bińkowski et al., 2018), `kid` and `kid_std`; lower is better.

    Args:
        subsets: How many pairs of subsets are drawn.
        subset_size: Images in each; fewer where there are fewer.
        seed: Of the draws; 2020 is torch-fidelity's.
    """

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

    def consumer(self) -> KernelSums:
        """The sums over all subsets."""
        return KernelSums(self.subsets, self.subset_size, self.seed)

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Mean and standard deviation over the subsets."""
        assert isinstance(consumer, KernelSums)
        mean, deviation = consumer.result()
        return {"kid": mean, "kid_std": deviation}

    def options(self, comparison: Comparison) -> str:
        """Number, size and seed of the subsets."""
        size = min(self.subset_size, len(_features(comparison.generated)), len(_features(_real(comparison))))
        return f"subsets:{self.subsets}|size:{size}|seed:{self.seed}"


class InceptionScore(ImageMeasure):
    """The inception score: how sure and how varied classes are (Salimans et al., 2016), `is`, `is_std`; higher is better.

    Args:
        splits: Parts of the images over which mean and standard deviation are taken.
        seed: Of the order in which they are cut into parts, 2020 is torch-fidelity's; null keeps their order.
    """

    needs_features = True
    needs_real = False

    def __init__(
        self,
        splits: Annotated[int, Bound(1)] = 10,
        seed: Annotated[int, Bound(0, 4294967295)] | None = 2020,
    ) -> None:
        self.splits = splits
        self.seed = seed

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Mean and standard deviation over the parts."""
        logits = comparison.generated.logits
        if logits is None:
            raise InputError(
                f"the inception score needs an extractor with classes; {comparison.generated.description} has none"
            )
        mean, deviation = inception_score(logits, self.splits, self.seed)
        return {"is": mean, "is_std": deviation}

    def options(self, comparison: Comparison) -> str:
        """Number of parts and seed of the order."""
        return f"splits:{self.splits}|seed:{'none' if self.seed is None else self.seed}"


class PrecisionRecall(ImageMeasure):
    """`precision`, `recall` (Kynkäänniemi et al., 2019), `density`, `coverage` (Naeem et al., 2020); higher is better.

    Args:
        k: Which nearest neighbour gives the radius of a ball; torch-fidelity and NVIDIA take 3, Naeem et al. 5.
    """

    needs_features = True

    def __init__(self, k: Annotated[int, Bound(1)] = 3) -> None:
        self.k = k

    def consumer(self) -> Manifold:
        """The balls around both sets, and what lies in them."""
        return Manifold(self.k)

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """All four, as shares; density may exceed one."""
        assert isinstance(consumer, Manifold)
        return dict(consumer.result()._asdict())

    def options(self, comparison: Comparison) -> str:
        """The neighbour."""
        return f"k:{self.k}"


class Memorisation(ImageMeasure):
    """The Fréchet distance, raised where generated images are too near to real ones (Bai et al., 2021), `mifid`.

    `memorisation` beside it is the mean cosine distance to the nearest real image.

    Args:
        threshold: Below this distance the penalty sets in; the reference takes 0.1.
    """

    needs_features = True

    def __init__(self, threshold: Annotated[float, Bound(0, 1)] = 0.1) -> None:
        self.threshold = threshold

    def consumer(self) -> NearestCosine:
        """The nearest real image of each."""
        return NearestCosine()

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Penalised distance, and the distance to the nearest."""
        assert isinstance(consumer, NearestCosine)
        generated, real = comparison.generated, _real(comparison)
        fid = frechet_distance(generated.mean, generated.covariance, real.mean, real.covariance)
        distance = consumer.result()
        return {"mifid": mifid(fid, distance, self.threshold), "memorisation": distance}

    def options(self, comparison: Comparison) -> str:
        """The threshold."""
        return f"threshold:{self.threshold}"


class Vendi(ImageMeasure):
    """The effective number of different images under cosine similarity (Friedman and Dieng, 2023), `vendi`."""

    needs_features = True
    needs_real = False

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """From 1 (all alike) to the number of images."""
        return {"vendi": vendi_score(_features(comparison.generated))}


def compare(
    measures: Iterable[ImageMeasure], generated: Statistics, real: Statistics | None, heldout: Statistics | None = None
) -> tuple[dict[str, float], dict[str, str]]:
    """Compute all measures; those that look at pairs of features share one pass over the pairs.

    Args:
        measures: Which.
        generated: The generated images.
        real: The real ones, if any measure compares with them.
        heldout: A random part of the real ones, for the floor of the Fréchet distance.

    Returns:
        Name to score, and how it was made by the same names. A name ends in the extractor's, unless that is the
        reference Inception network: only `fid` itself can be compared with papers.

    Raises:
        InputError: The two sets were seen by different extractors, or do not suffice for a measure.
    """
    if real is not None:
        generated.refuse_other(real)
    comparison = Comparison(generated, real, heldout)
    pairs = [(measure, measure.consumer()) for measure in measures]
    consumers = [consumer for _, consumer in pairs if consumer is not None]
    if consumers:
        visit_pairs(_features(generated), _features(_real(comparison)), consumers)
    values: dict[str, float] = {}
    signatures: dict[str, str] = {}
    for measure, consumer in pairs:
        scores = measure.scores(comparison, consumer)
        named = {f"{name}{generated.suffix}": score for name, score in scores.items()}
        if twice := values.keys() & named.keys():
            raise InputError(f"two metrics give {', '.join(sorted(twice))}: switch one off")
        values |= named
        signatures |= dict.fromkeys(named, _signature(measure, comparison))
    return values, signatures


def nearest(features: Tensor, real: Statistics, number: int) -> Tensor:
    """The real images nearest to each of some generated ones, the nearest first.

    Args:
        features: Of the generated images, of shape (n, dimensions).
        real: The real images, with features.
        number: How many for each; fewer where there are fewer.

    Returns:
        Numbers of real images, int64 of shape (n, number).
    """
    of_real = _features(real).double()
    assert real.indices is not None
    distances = torch.cdist(features.cpu().double(), of_real)
    return real.indices[distances.topk(min(number, len(of_real)), largest=False).indices]


def _real(comparison: Comparison) -> Statistics:
    if comparison.real is None:
        raise InputError("this metric compares with real images, and none are given")
    return comparison.real


def _features(one: Statistics) -> Tensor:
    if one.features is None:
        raise InputError(
            "the statistics hold no features, only their mean and covariance: they serve the Fréchet distance alone; "
            "measure the pictures themselves"
        )
    return one.features


def _signature(measure: ImageMeasure, comparison: Comparison) -> str:
    generated, real = comparison.generated, comparison.real
    parts = [
        generated.description or (real.description if real else "") or "extractor:unknown",
        measure.options(comparison),
    ]
    counts = [_count(generated)]
    if measure.needs_real and real is not None:
        counts.append(_count(real))
    return "|".join(part for part in (*parts, f"images:{'/'.join(counts)}") if part)


def _count(one: Statistics) -> str:
    return "unknown" if one.count is None else str(one.count)
