"""Distinct-n: the share of different n-grams."""

from collections.abc import Sequence

import aigc
from aigc.errors import InputError
from aigc.metrics.text.scorer import CollectionScorer, Details
from aigc.metrics.text.tokenizer import ScriptTokenizer


class DistinctNScorer(CollectionScorer):
    """The share of different n-grams among all n-grams of all texts, in percent (Li et al., 2016).

    n-grams are of characters in Chinese and of words elsewhere, without case and punctuation, and never run from one
    text into the next. A score is NaN where no text has so many units. It falls as the number of texts grows: compare
    only collections of one size.

    Args:
        orders: The lengths of the n-grams; each gives a score distinct_<order>.

    Raises:
        InputError: There is no order, or one is not a whole number of at least 1.
    """

    metric_name = "distinct"

    def __init__(self, orders: Sequence[int] = (1, 2)) -> None:
        lengths = list(orders) if isinstance(orders, Sequence) else []
        if not lengths or not all(type(length) is int and length > 0 for length in lengths):
            raise InputError(f"{self.name}: orders is {orders!r}. Allowed: a list of whole numbers of at least 1.")
        self._orders = tuple(dict.fromkeys(lengths))
        self._tokenizer = ScriptTokenizer(accents=True)
        super().__init__()

    @property
    def signature(self) -> str:
        """How the score is made."""
        return f"case:lc|tok:words|version:aigc-{aigc.__version__}"

    def _analyse(self, texts: Sequence[str]) -> tuple[dict[str, float], Details]:
        scores: dict[str, float] = {}
        details: Details = {}
        for order, (different, total) in self._count(texts).items():
            scores[f"distinct_{order}"] = 100.0 * different / total if total else float("nan")
            details |= {f"different_{order}": different, f"ngrams_{order}": total}
        return scores, details

    def _count(self, texts: Sequence[str]) -> dict[int, tuple[int, int]]:
        """Return for each order the numbers of different and of all n-grams."""
        cut = [self._tokenizer.tokenize(text) for text in texts]
        counts = {}
        for order in self._orders:
            different: set[tuple[str, ...]] = set()
            for units in cut:
                different.update(zip(*(units[start:] for start in range(order)), strict=False))
            counts[order] = len(different), sum(max(len(units) - order + 1, 0) for units in cut)
        return counts
