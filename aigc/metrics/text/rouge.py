"""ROUGE, as rouge_score computes it, with a tokeniser that knows more scripts than Latin."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from aigc.errors import InputError
from aigc.metrics.text.base import References, TextMetric, pair_up
from aigc.metrics.text.tokenizer import ScriptTokenizer

_TYPE = re.compile(r"rouge[1-9]|rougeL|rougeLsum")


class ROUGE(TextMetric):
    """Mean ROUGE F-measure over the predictions, from 0 to 100 (Lin, 2004); equal to rouge_score's on ASCII text.

    rouge_score drops all but a-z and 0-9: two equal Chinese texts score 0, two unrelated ones that share a Latin word
    100. The tokeniser here makes each Chinese character a token and keeps the words of other scripts. Of several
    references the best counts, for each type on its own.

    Args:
        rouge_types: Which scores: rouge1 to rouge9 compare n-grams, rougeL the longest common subsequence, rougeLsum
            the same line by line.
        use_stemmer: Reduce English words to their stem first.
        tokenizer: auto for all scripts, or rouge_score for the library's own tokeniser, which knows English alone.

    Raises:
        InputError: A type or the tokeniser has no such name.
    """

    def __init__(
        self,
        rouge_types: Sequence[str] = ("rouge1", "rouge2", "rougeL"),
        use_stemmer: bool = False,
        tokenizer: str = "auto",
    ) -> None:
        wrong = [name for name in rouge_types if not _TYPE.fullmatch(name)]
        if wrong or not rouge_types or isinstance(rouge_types, str):
            raise InputError(
                f"ROUGE: rouge_types is {rouge_types!r}. Allowed: a list of rouge1 to rouge9, rougeL, rougeLsum."
            )
        if tokenizer not in ("auto", "rouge_score"):
            raise InputError(f"ROUGE: tokenizer is {tokenizer!r}. Allowed: auto, rouge_score.")
        self._types = tuple(rouge_types)
        self._use_stemmer = use_stemmer
        self._tokenizer = tokenizer
        self._scorer = self._build()
        self.reset()

    def update(self, predictions: Sequence[str], references: References) -> None:
        """Add texts; see `TextMetric.update`."""
        for prediction, several in pair_up(predictions, references):
            scores = self._scorer.score_multi(several, prediction)
            for name in self._types:
                self._sums[name] += float(scores[name].fmeasure)
            self._count += 1

    def compute(self) -> dict[str, float]:
        """Return type to score over all texts added so far, from 0 to 100; NaN where nothing was added."""
        if not self._count:
            return dict.fromkeys(self._types, float("nan"))
        return {name: 100.0 * total / self._count for name, total in self._sums.items()}

    def reset(self) -> None:
        """Forget all texts."""
        self._sums = dict.fromkeys(self._types, 0.0)
        self._count = 0

    @property
    def signature(self) -> str:
        """How the score is made; the version is rouge_score's."""
        stemmer = "porter" if self._use_stemmer else "no"
        tokenizer = "script" if self._tokenizer == "auto" else "rouge_score"
        return f"refs:best|case:lc|tok:{tokenizer}|stem:{stemmer}|score:f1|version:{version('rouge-score')}"

    def _build(self) -> Any:
        from rouge_score.rouge_scorer import RougeScorer  # it imports nltk: half a second

        tokenizer = ScriptTokenizer(self._use_stemmer) if self._tokenizer == "auto" else None
        return RougeScorer(list(self._types), use_stemmer=self._use_stemmer, tokenizer=tokenizer)
