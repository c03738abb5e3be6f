"""Scores of several systems on the same texts, compared with the first system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aigc.metrics.text.inputs import References, pair_up
from aigc.metrics.text.scorer import AdditiveScorer, Integers, Measured, Scorer
from aigc.metrics.text.significance import (
    SAMPLES,
    SEED,
    Estimate,
    Floats,
    estimate,
    p_value,
    resampled_scores,
    resampled_sums,
)

_BATCH = 1000


@dataclass
class SystemScores:
    """Results of one system: scores by metric, and estimates from resampling by score.

    A score that is not a sum over the texts has no estimate. The baseline has no p-values.
    """

    measured: dict[str, Measured] = field(default_factory=dict)
    estimates: dict[str, Estimate] = field(default_factory=dict)
    p_values: dict[str, float] = field(default_factory=dict)

    @property
    def scores(self) -> dict[str, float]:
        """All scores of all metrics."""
        return {name: value for measured in self.measured.values() for name, value in measured.scores.items()}


def measure_systems(
    scorers: Mapping[str, Scorer],
    systems: Sequence[Sequence[str]],
    references: References | None,
    samples: int = SAMPLES,
    seed: int = SEED,
    whole: Sequence[Sequence[str]] | None = None,
) -> list[SystemScores]:
    """Measure systems with every metric; where there are several, compare each with the first by paired bootstrap.

    Args:
        scorers: Name to metric.
        systems: For each system its predictions.
        references: What all of them should have been.
        samples: How many resamples are drawn.
        seed: Of the resamples.
        whole: The same predictions with what was given to the model of each text, for scorers `of_whole_texts`.

    Returns:
        One result a system, in their order.

    Raises:
        ValueError: A metric refuses the texts (its name stands before the reason), two metrics give a score of the same
            name, or as `resampled_sums`.
    """
    results = [SystemScores() for _ in systems]
    tables: dict[tuple[str, int], Integers] = {}
    for name, scorer in scorers.items():
        measured_texts = whole if whole and scorer.of_whole_texts else systems
        for index, (texts, result) in enumerate(zip(measured_texts, results, strict=True)):
            try:
                if isinstance(scorer, AdditiveScorer):
                    tables[name, index] = _statistics(scorer, texts, references)
                    measured = scorer.measured(tables[name, index].sum(axis=0))
                else:
                    measured = scorer.measure(texts, references)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}: {error}") from error
            if shared := result.scores.keys() & measured.scores.keys():
                raise ValueError(f"{name}: another metric gives {', '.join(sorted(shared))} too; measure one at a time")
            result.measured[name] = measured
    if len(systems) > 1 and tables:
        drawn = dict(zip(tables, resampled_sums(list(tables.values()), samples, seed), strict=True))
        for name, scorer in scorers.items():
            if isinstance(scorer, AdditiveScorer):
                indices = range(len(systems))
                _compare([resampled_scores(drawn[name, index], scorer.scores_of) for index in indices], results)
    return results


def _statistics(scorer: AdditiveScorer, texts: Sequence[str], references: References | None) -> Integers:
    """The integers of each text, a batch at a time: sacrebleu holds the n-grams of all references of a call."""
    if references is not None:
        pair_up(texts, references)  # while the numbers in its messages are those of the whole
    tables = []
    for start in range(0, max(1, len(texts)), _BATCH):
        batch = slice(start, start + _BATCH)
        tables.append(scorer.statistics(texts[batch], None if references is None else references[batch]))
    return np.concatenate(tables)


def _compare(resampled: Sequence[Mapping[str, Floats]], results: Sequence[SystemScores]) -> None:
    """Add the estimates from the resampled scores of one metric to each system; the first system is the baseline."""
    baseline = results[0].scores
    for index, (scores, result) in enumerate(zip(resampled, results, strict=True)):
        for name, values in scores.items():
            result.estimates[name] = estimate(values)
            if index:
                result.p_values[name] = p_value(resampled[0][name], values, result.scores[name] - baseline[name])
