"""The metrics that sacrebleu computes over a whole corpus."""

from abc import abstractmethod
from collections.abc import Sequence

from sacrebleu.metrics.base import Metric

from aigc.metrics.text.base import Pair, References, TextMetric, pair_up


class CorpusMetric(TextMetric):
    """Collect all pairs and let sacrebleu score them together: a mean of batch scores would be another number."""

    _name: str

    def __init__(self) -> None:
        self._pairs: list[Pair] = []

    @abstractmethod
    def _build(self) -> Metric:
        """Return sacrebleu's metric for the pairs collected so far."""

    def update(self, predictions: Sequence[str], references: References) -> None:
        """Add texts; see `TextMetric.update`."""
        self._pairs.extend(pair_up(predictions, references))

    def compute(self) -> dict[str, float]:
        """Return the score over all texts added so far, from 0 to 100; NaN where nothing was added."""
        if not self._pairs:
            return {self._name: float("nan")}
        predictions = [prediction for prediction, _ in self._pairs]
        most = max(len(references) for _, references in self._pairs)
        # sacrebleu takes one stream per reference number, and None where a prediction has fewer.
        streams = [[refs[i] if i < len(refs) else None for _, refs in self._pairs] for i in range(most)]
        score = self._build().corpus_score(predictions, streams)  # type: ignore[arg-type]
        return {self._name: float(score.score)}

    def reset(self) -> None:
        """Forget all texts."""
        self._pairs = []

    @property
    def signature(self) -> str:
        """The signature of sacrebleu, and what it leaves out: a maximum order or beta that is not the default."""
        metric = self._build()
        numbers = {len(references) for _, references in self._pairs}
        # sacrebleu learns the number of references while scoring: -1 prints as `var`, None not at all.
        metric.num_refs = -1 if len(numbers) > 1 else next(iter(numbers), None)  # type: ignore[assignment]
        signature = metric.get_signature()
        for key, value in self._unusual().items():
            signature.update(key, value)
        return str(signature.format())

    def _unusual(self) -> dict[str, object]:
        return {}
