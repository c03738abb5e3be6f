"""Base class of scorers that use the statistics and formulas of sacrebleu."""

from abc import abstractmethod
from typing import Any

from sacrebleu.metrics.base import Metric

from aigc.metrics.text.inputs import Pair
from aigc.metrics.text.scorer import AdditiveScorer, Integers


class SacrebleuScorer(AdditiveScorer):
    """A scorer around a metric of sacrebleu, which turns each pair into numbers, and their sums into a score.

    Of several references that are equally near, sacrebleu's chrF takes the first. They are put in order before, the
    shorter first, so that their order has no effect.
    """

    @abstractmethod
    def _engine(self) -> Metric:
        """Return the metric of sacrebleu with the formula."""

    def _statistics(self, engine: Metric, pairs: list[Pair]) -> list[list[Any]]:
        """Return sacrebleu's numbers of each pair."""
        ordered = [sorted(several, key=_order) if len(several) > 1 else several for _, several in pairs]
        most = max(map(len, ordered))
        # It takes one stream per index in the lists of references, with None where a list is shorter.
        streams: Any = [[one[index] if index < len(one) else None for one in ordered] for index in range(most)]
        rows: list[list[Any]] = engine._extract_corpus_statistics([prediction for prediction, _ in pairs], streams)
        return rows

    def _result(self, sums: Integers | list[float]) -> Any:
        """Return sacrebleu's result from the sums: its BLEUScore, CHRFScore or TERScore."""
        return self._engine()._compute_score_from_stats([*sums] if isinstance(sums, list) else sums.tolist())


def sacrebleu_signature(engine: Metric, references: str, **unusual: object) -> str:
    """Return sacrebleu's signature with what it leaves out; `references` as in `AdditiveScorer._signature`."""
    number = references.removeprefix("nrefs:")
    # sacrebleu learns the number of references while it scores: -1 prints as `var`, None not at all.
    engine.num_refs = -1 if number == "var" else int(number) if number else None  # type: ignore[assignment]
    signature = engine.get_signature()
    for key, value in unusual.items():
        signature.update(key, value)
    return str(signature.format())


def _order(reference: str) -> tuple[int, str]:
    return len(reference), reference
