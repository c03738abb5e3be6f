"""The base of scores that are the share of predictions that a test counts."""

from abc import abstractmethod

from aigc.metrics.text.inputs import Pair
from aigc.metrics.text.scorer import AdditiveScorer, Details, Integers


class ShareScorer(AdditiveScorer):
    """Share of predictions that `_counts` accepts, in percent; a subclass defines it, the name and the signature."""

    counted_as = "matches"
    """The name of their number in `details`."""

    @abstractmethod
    def _counts(self, text: str, references: list[str]) -> bool:
        """Return whether a prediction is counted."""

    @property
    def _columns(self) -> int:
        return 1  # those that are counted

    def _rows(self, pairs: list[Pair]) -> list[list[int]]:
        return [[self._counts(text, references)] for text, references in pairs]

    def _scores(self, sums: Integers, pairs: int) -> dict[str, float]:
        return {self.metric_name: 100.0 * int(sums[0]) / pairs}

    def _details(self, sums: Integers, pairs: int) -> Details:
        return {self.counted_as: int(sums[0]), "predictions": pairs}
