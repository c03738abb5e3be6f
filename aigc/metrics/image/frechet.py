"""The Fréchet distance of two Gaussians, with features of Inception the FID."""

import torch
from torch import Tensor

from aigc.metrics.image.inputs import Array, as_statistic
from aigc.metrics.image.measure import Comparison, ImageMeasure, real_of
from aigc.metrics.image.pairs import PairConsumer
from aigc.printing import plural
from aigc.runs.console import log


class FrechetDistance(ImageMeasure):
    """The Fréchet distance of the features' Gaussians (Heusel et al., 2017), `fid`; lower is better.

    Beside it stands `fid_floor`, of two parts of the real images: a random one, as large as the generated set or half
    of all, and the rest. It says how much of a distance is due to the number of images; a perfect generator gets about
    that, or less where the rest is smaller than the whole. Both fall with the number: compare equal numbers only.
    """

    metric_name = "fid"
    names = ("fid", "fid_floor")
    higher_is_better = False

    def __init__(self) -> None:
        self._warned = False

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Return `fid`, and `fid_floor` where real images are at hand."""
        generated, real = comparison.generated, real_of(comparison)
        self._warn_of_few(comparison)
        found = {"fid": frechet_distance(generated.mean, generated.covariance, real.mean, real.covariance)}
        part = comparison.heldout
        if part is not None and real.count is not None and part.count is not None and real.count - part.count > 1:
            rest = real.without(part)
            found["fid_floor"] = frechet_distance(part.mean, part.covariance, rest.mean, rest.covariance)
        return found

    def counts(self, comparison: Comparison, name: str) -> list[str]:
        """Return the sizes of both parts of the real images for the floor."""
        part, real = comparison.heldout, comparison.real
        if name != "fid_floor" or part is None or real is None or part.count is None or real.count is None:
            return super().counts(comparison, name)
        return [str(part.count), str(real.count - part.count)]

    def _warn_of_few(self, comparison: Comparison) -> None:
        """Warn once: the same numbers of images are compared at every evaluation."""
        one = comparison.generated
        fewest = min((s.count for s in (one, comparison.real) if s is not None and s.count), default=one.dimensions)
        if fewest >= one.dimensions or self._warned:
            return
        self._warned = True
        hint = f"; fid_floor{one.suffix} is what real images get" if comparison.heldout is not None else ""
        log.warning(
            "fid%s: fewer images than dimensions (%s, %s), so the distance is far too large%s; kid has no such bias",
            one.suffix,
            f"{fewest:,}",
            f"{one.dimensions:,}",
            hint,
        )


def frechet_distance(mu1: Array, cov1: Array, mu2: Array, cov2: Array) -> float:
    """Compute |mu1 - mu2|² + Tr(C1 + C2 - 2 (C1 C2)^½), in float64 (Dowson and Landau, 1982; Heusel et al., 2017).

    The root's trace is the sum of the roots of the eigenvalues of C1^½ C2 C1^½, a symmetric matrix: never complex, and
    defined for covariances of less than full rank. Directions in which C1 is zero up to rounding are left out. Of
    torch-fidelity's number it differs by less than 1e-8 of it at full rank, and by less than 1e-4 below, where that
    takes roots of rounding errors.

    The covariances' part is never negative, and 0 where it is no more than some rounding errors of the traces: equal
    covariances are at no distance beyond rounding, at any scale.

    Args:
        mu1: Mean, of shape (dimensions,), any floating dtype.
        cov1: Covariance, of shape (dimensions, dimensions).
        mu2: The other mean.
        cov2: The other covariance.

    Raises:
        TypeError: Something is not a floating-point array or tensor.
        ValueError: Shapes do not fit, or a covariance is not symmetric.
        InputError: A number is NaN or infinite.
    """
    mean1, first = _gaussian(mu1, cov1, "1")
    mean2, second = (part.to(first.device) for part in _gaussian(mu2, cov2, "2"))
    if mean1.shape != mean2.shape:
        raise ValueError(
            f"mu1 has {plural(len(mean1), 'dimension')}, but mu2 has {len(mean2)}: measure with one extractor"
        )
    rounding = len(mean1) * torch.finfo(torch.float64).eps
    variances, directions = torch.linalg.eigh(first)
    kept = variances > rounding * variances[-1]
    root = directions[:, kept] * variances[kept].sqrt()
    overlap = torch.linalg.eigvalsh(root.T @ second @ root).clamp(min=0).sqrt().sum()
    traces = first.trace() + second.trace()
    spread = float(traces - 2 * overlap)
    if spread < 10 * rounding * float(traces):
        spread = 0.0
    return float((mean1 - mean2).square().sum()) + spread


def is_symmetric(covariance: Tensor) -> bool:
    """Whether a square matrix with at least one row is symmetric up to rounding in float32."""
    return bool((covariance - covariance.T).abs().max() <= 1e-5 * covariance.abs().max())


def _gaussian(mu: Array, cov: Array, number: str) -> tuple[Tensor, Tensor]:
    mean, covariance = as_statistic(mu, f"mu{number}", 1), as_statistic(cov, f"cov{number}", 2)
    if len(mean) != len(covariance):
        raise ValueError(f"mu{number} has {plural(len(mean), 'dimension')}, but cov{number} has {len(covariance)}")
    if not is_symmetric(covariance):
        raise ValueError(f"cov{number} is not symmetric: it is not a covariance")
    return mean, covariance
