"""The measures of generated images: their options, and the scores they give."""

from typing import Annotated

from aigc.config.types import Bound
from aigc.errors import InputError
from aigc.metrics.image.frechet import frechet_distance
from aigc.metrics.image.inception_scores import inception_score
from aigc.metrics.image.kernel import KernelSums
from aigc.metrics.image.manifold import Manifold
from aigc.metrics.image.measure import Comparison, ImageMeasure, features_of, real_of
from aigc.metrics.image.memorisation import NearestCosine, mifid
from aigc.metrics.image.pairs import PairConsumer
from aigc.metrics.image.vendi import vendi_score
from aigc.runs.console import log


class FrechetDistance(ImageMeasure):
    """The Fréchet distance of the features' Gaussians (Heusel et al., 2017), `fid`; lower is better.

    Beside it stands `fid_floor`, of two parts of the real images: a random one, as large as the generated set or half
    of all, and the rest. It says how much of a distance is due to the number of images; a perfect generator gets about
    that, or less where the rest is smaller than the whole. Both fall with the number: compare equal numbers only.
    """

    names = ("fid", "fid_floor")

    def __init__(self) -> None:
        self._warned = False

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """`fid`, and `fid_floor` where real images are at hand."""
        generated, real = comparison.generated, real_of(comparison)
        self._warn_of_few(comparison)
        found = {"fid": frechet_distance(generated.mean, generated.covariance, real.mean, real.covariance)}
        part = comparison.heldout
        if part is not None and real.count is not None and part.count is not None and real.count - part.count > 1:
            rest = real.without(part)
            found["fid_floor"] = frechet_distance(part.mean, part.covariance, rest.mean, rest.covariance)
        return found

    def counts(self, comparison: Comparison, name: str) -> list[str]:
        """The floor is of two parts of the real images."""
        part, real = comparison.heldout, comparison.real
        if name != "fid_floor" or part is None or real is None or part.count is None or real.count is None:
            return super().counts(comparison, name)
        return [str(part.count), str(real.count - part.count)]

    def _warn_of_few(self, comparison: Comparison) -> None:
        """Once is enough: the same numbers of images are compared again and again."""
        one = comparison.generated
        fewest = min((s.count for s in (one, comparison.real) if s is not None and s.count), default=one.dimensions)
        if fewest >= one.dimensions or self._warned:
            return
        self._warned = True
        told = f"; fid_floor{one.suffix} is what real images get" if comparison.heldout is not None else ""
        log.warning(
            "fid%s: fewer images than dimensions (%s, %s), so the distance is far too large%s; kid has no such bias",
            one.suffix,
            f"{fewest:,}",
            f"{one.dimensions:,}",
            told,
        )


class KernelDistance(ImageMeasure):
    """The unbiased squared MMD under a cubic kernel (Bińkowski et al., 2018), `kid` and `kid_std`; lower is better.

    Args:
        subsets: How many pairs of subsets are drawn.
        subset_size: Images in each; fewer where there are fewer.
        seed: Of the draws; 2020 is torch-fidelity's.
    """

    names = ("kid", "kid_std")
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
        size = min(self.subset_size, len(features_of(comparison.generated)), len(features_of(real_of(comparison))))
        return f"subsets:{self.subsets}|size:{size}|seed:{self.seed}"


class InceptionScore(ImageMeasure):
    """The inception score: how sure and how varied classes are (Salimans et al., 2016), `is`, `is_std`.

    Args:
        splits: Parts of the images over which mean and standard deviation are taken.
        seed: Of the order in which they are cut into parts, 2020 is torch-fidelity's; null keeps their order.
    """

    names = ("is", "is_std")
    needs_features = True
    needs_real = False

    def __init__(
        self,
        splits: Annotated[int, Bound(1)] = 10,
        seed: Annotated[int, Bound(0, 4294967295)] | None = 2020,
    ) -> None:
        self.splits = splits
        self.seed = seed

    def refuses(self, generated: int, real: int, classes: int | None) -> str | None:
        """Fewer images than parts, or no classes."""
        if not classes:
            return "the inception score needs an extractor with classes"
        return f"splits is {self.splits}, but there are {generated} images" if generated < self.splits else None

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Mean and standard deviation over the parts."""
        logits = comparison.generated.logits
        if logits is None:
            made_by = comparison.generated.description or "unknown"
            raise InputError(
                f"the inception score needs logits, and these statistics ({made_by}) hold none: measure images, with "
                "an extractor that has classes"
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

    names = ("precision", "recall", "density", "coverage")
    needs_features = True

    def __init__(self, k: Annotated[int, Bound(1)] = 3) -> None:
        self.k = k

    def refuses(self, generated: int, real: int, classes: int | None) -> str | None:
        """No such neighbour."""
        fewest = min(generated, real)
        return f"k is {self.k}, but there are {fewest} images: take a k below that" if self.k >= fewest else None

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

    names = ("mifid", "memorisation")
    needs_features = True

    def __init__(self, threshold: Annotated[float, Bound(0, 1)] = 0.1) -> None:
        self.threshold = threshold

    def consumer(self) -> NearestCosine:
        """The nearest real image of each."""
        return NearestCosine()

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Penalised distance, and the distance to the nearest."""
        assert isinstance(consumer, NearestCosine)
        generated, real = comparison.generated, real_of(comparison)
        fid = frechet_distance(generated.mean, generated.covariance, real.mean, real.covariance)
        distance = consumer.result()
        return {"mifid": mifid(fid, distance, self.threshold), "memorisation": distance}

    def options(self, comparison: Comparison) -> str:
        """The threshold."""
        return f"threshold:{self.threshold}"


class Vendi(ImageMeasure):
    """The effective number of different images under cosine similarity (Friedman and Dieng, 2023), `vendi`."""

    names = ("vendi",)
    needs_features = True
    needs_real = False

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """From 1 (all alike) to the number of images."""
        return {"vendi": vendi_score(features_of(comparison.generated))}
