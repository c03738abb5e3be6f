"""How many of the generated n-grams are different ones."""

from collections.abc import Sequence

import aigc
from aigc.errors import InputError
from aigc.metrics.text.base import References, TextMetric, check_texts, pair_up
from aigc.metrics.text.tokenizer import ScriptTokenizer


class DistinctN(TextMetric):
    """Share of different n-grams among all n-grams of all predictions, in percent (Li et al., 2016).

    n-grams are of characters in Chinese and of words elsewhere, and never run from one text into the next. The score
    falls as the corpus grows: compare only corpora of one size.

    Args:
        orders: The lengths of the n-grams; each gives a score distinct_<order>.

    Raises:
        InputError: There is no order, or one is below 1.
    """

    def __init__(self, orders: Sequence[int] = (1, 2)) -> None:
        if not orders or min(orders) < 1:
            raise InputError(f"DistinctN: orders is {list(orders)}. Allowed: a list of numbers from 1 on.")
        self._orders = tuple(orders)
        self._tokenizer = ScriptTokenizer()
        self.reset()

    def update(self, predictions: Sequence[str], references: References | None = None) -> None:
        """Add texts; references are checked for their number and not looked at."""
        texts = check_texts(predictions, "predictions")
        if references is not None:
            pair_up(texts, references)
        for text in texts:
            units = self._tokenizer.tokenize(text)
            for order in self._orders:
                ngrams = list(zip(*(units[start:] for start in range(order)), strict=False))
                self._seen[order].update(ngrams)
                self._totals[order] += len(ngrams)

    def compute(self) -> dict[str, float]:
        """Return {"distinct_1": score, ...}; NaN where there is no n-gram of that length."""
        return {
            f"distinct_{order}": 100.0 * len(self._seen[order]) / total if total else float("nan")
            for order, total in self._totals.items()
        }

    def reset(self) -> None:
        """Forget all texts."""
        self._seen: dict[int, set[tuple[str, ...]]] = {order: set() for order in self._orders}
        self._totals = dict.fromkeys(self._orders, 0)

    @property
    def signature(self) -> str:
        """How the score is made."""
        return f"case:lc|tok:script|version:aigc-{aigc.__version__}"
