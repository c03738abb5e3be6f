"""From statistics to scores: all measures of two sets of images, in one pass over the pairs of their features."""

from collections.abc import Iterable

import torch
from torch import Tensor

from aigc.errors import InputError
from aigc.metrics.image.kernel import KernelSums
from aigc.metrics.image.measure import Comparison, ImageMeasure, features_of, real_of
from aigc.metrics.image.pairs import visit_pairs
from aigc.metrics.image.statistics import Statistics
from aigc.runs.console import log

_INCEPTION = 2048


def compare(
    measures: Iterable[ImageMeasure], generated: Statistics, real: Statistics | None, heldout: Statistics | None = None
) -> tuple[dict[str, float], dict[str, str]]:
    """Compute all measures; those that need pairs of features share one pass over the pairs.

    Args:
        measures: Which.
        generated: The generated images.
        real: The real ones, if any measure compares with them.
        heldout: A random part of the real ones, for the floor of the Fréchet distance.

    Returns:
        Name to score, and how it was made by the same names. A name ends in the extractor's, unless that is the
        reference Inception network: only `fid` itself can be compared with papers. Of two files that do not say what
        made them, 2,048 dimensions are taken for that network.

    Raises:
        InputError: The two sets have different extractors, or are too small for a measure.
    """
    if real is not None:
        generated.check_same_extractor(real)
        if bool(generated.identity) != bool(real.identity):
            log.warning(
                "one set does not say which network made it; it is taken to be %s", _known(generated, real).description
            )
    comparison = Comparison(generated, real, heldout)
    pairs = [(measure, measure.consumer()) for measure in measures]
    consumers = [consumer for _, consumer in pairs if consumer is not None]
    if consumers:
        x, y = features_of(generated), features_of(real_of(comparison))
        if len(consumers) == 1 and isinstance(consumers[0], KernelSums):
            consumers[0].fill(x, y)
        else:
            visit_pairs(x, y, consumers)
    suffix = _known(generated, real).suffix
    values: dict[str, float] = {}
    signatures: dict[str, str] = {}
    for measure, consumer in pairs:
        scores = measure.scores(comparison, consumer)
        named = {f"{name}{suffix}": score for name, score in scores.items()}
        if twice := values.keys() & named.keys():
            raise InputError(f"two metrics give {', '.join(sorted(twice))}: switch one off")
        values |= named
        signatures |= {f"{name}{suffix}": _signature(measure, comparison, name) for name in scores}
    return values, signatures


def nearest(features: Tensor, real: Statistics, number: int) -> Tensor:
    """Return the real images nearest to each generated one, nearest first.

    Args:
        features: Of the generated images, of shape (n, dimensions).
        real: The real images, with features.
        number: How many for each; fewer where there are fewer.

    Returns:
        Numbers of real images, int64 of shape (n, number).
    """
    of_real = features_of(real).double()
    assert real.indices is not None
    distances = torch.cdist(features.cpu().double(), of_real)
    return real.indices[distances.topk(min(number, len(of_real)), largest=False).indices]


def _known(generated: Statistics, real: Statistics | None) -> Statistics:
    """Return the set whose extractor is known: files of other programs do not name theirs."""
    known = next((one for one in (generated, real) if one is not None and one.identity), generated)
    if not known.identity and known.dimensions != _INCEPTION:
        return Statistics("_unknown", "", "", known.count, known.mean, known.covariance)
    return known


def _signature(measure: ImageMeasure, comparison: Comparison, name: str) -> str:
    made_by = _known(comparison.generated, comparison.real).description or "extractor:unknown"
    images = "/".join(measure.counts(comparison, name))
    return "|".join(part for part in (made_by, measure.options(comparison), f"images:{images}") if part)
