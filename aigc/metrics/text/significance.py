"""Paired bootstrap resampling: whether one system is better than another by more than chance.

Philipp Koehn: Statistical Significance Tests for Machine Translation Evaluation (2004). The resamples, intervals and
p-values are those of sacrebleu's `--paired-bs`, which sums in float32 where the sums here are exact.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

SAMPLES = 1000
SEED = 12345
"""sacrebleu's defaults."""
_BLOCK = 1 << 20
"""How many texts are drawn at a time: memory does not grow with the number of resamples."""


class Estimate(NamedTuple):
    """Mean of the resampled scores, and half the width of the interval that holds 95 % of them."""

    mean: float
    interval: float


def resampled_sums(tables: Sequence[Integers], samples: int = SAMPLES, seed: int = SEED) -> list[Integers]:
    """Sums over random corpora, each of as many texts as there are, drawn with replacement; the same for all tables.

    Args:
        tables: For each metric and system the integers of each text: int64 of shape (texts, columns).
        samples: How many corpora are drawn.
        seed: Of NumPy's default generator.

    Returns:
        For each table int64 of shape (samples, columns), exact.

    Raises:
        ValueError: There is no table or no text, the tables differ in their number of texts, or samples is below 1.
    """
    texts = {len(table) for table in tables}
    if len(texts) != 1 or not min(texts):
        raise ValueError(f"systems are compared on the same texts, at least one: got {sorted(texts)} of them")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    (number,) = texts
    factors = [_exact_factor(table) for table in tables]
    sums = [np.empty((samples, table.shape[1]), dtype=np.int64) for table in tables]
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // number)
    for start in range(0, samples, block):
        counts = _draw(generator, min(block, samples - start), number)
        in_floats = counts.astype(np.float64)
        for factor, total in zip(factors, sums, strict=True):
            drawn = (in_floats if factor.dtype == np.float64 else counts) @ factor
            total[start : start + len(counts)] = drawn.astype(np.int64)
    return sums


def resampled_scores(sums: Integers, scores_of: Callable[[Integers], dict[str, float]]) -> dict[str, Floats]:
    """Each score of each resample: name to float64 of shape (samples,).

    Args:
        sums: One table of `resampled_sums`.
        scores_of: `AdditiveScorer.scores_of`.
    """
    scores = [scores_of(row) for row in sums]
    return {name: np.array([each[name] for each in scores], dtype=np.float64) for name in scores[0]}


def estimate(scores: Floats) -> Estimate:
    """Mean and 95 % interval of resampled scores of shape (samples,)."""
    ordered = np.sort(scores)
    outside = len(ordered) // 40  # 2.5 % at each end
    return Estimate(float(ordered.mean()), float(0.5 * (ordered[-1 - outside] - ordered[outside])))


def p_value(baseline: Floats, system: Floats, difference: float) -> float:
    """Return the two-sided probability of a difference at least this large by chance.

    Args:
        baseline: Scores of one system on each resample, of shape (samples,).
        system: Scores of the other on the same resamples.
        difference: Between their scores on the real corpus.

    Returns:
        At least 1 / (samples + 1). Of systems that never differ it is 1, where sacrebleu gives that smallest value;
        NaN where a score is NaN.
    """
    differences = np.abs(system - baseline)
    if np.isnan(differences).any() or np.isnan(difference):
        return float("nan")
    if not differences.any() and not difference:
        return 1.0
    exceeding = np.count_nonzero(differences - differences.mean() > abs(difference))
    return float((exceeding + 1) / (len(differences) + 1))


def _draw(generator: np.random.Generator, samples: int, texts: int) -> Integers:
    """How often each text is in each resample: shape (samples, texts). Calls continue one stream of random numbers."""
    chosen = generator.choice(texts, size=(samples, texts), replace=True)
    chosen += texts * np.arange(samples)[:, None]
    return np.bincount(chosen.ravel(), minlength=samples * texts).reshape(samples, texts)


def _exact_factor(table: Integers) -> Floats | Integers:
    """As float64, whose product is many times faster, where no sum can reach the 2**53 from which it would round."""
    largest = max(abs(int(table.max(initial=0))), abs(int(table.min(initial=0))))
    return table.astype(np.float64) if largest * len(table) < 2**53 else table
