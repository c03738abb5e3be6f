"""Self-BLEU: how much generated texts resemble each other."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from sacrebleu.metrics.helpers import extract_all_word_ngrams

from aigc.config.types import Bound
from aigc.metrics.text.bleu_options import AUTO, BleuOptions, Smoothing
from aigc.metrics.text.sacrebleu_scorer import sacrebleu_signature
from aigc.metrics.text.sacrebleu_tokenizers import Tokenizer
from aigc.metrics.text.scorer import CollectionScorer, Details
from aigc.metrics.text.scripts import fit, majority, mixture

Ngrams = Counter[tuple[str, ...]]


class SelfBLEUScorer(CollectionScorer):
    """Mean over the texts of the BLEU of each against all the others, from 0 to 100 (Zhu et al., 2018, Texygen).

    Low is diverse: 100 where all texts are the same, 0 where no two share a token. It rises with the number of texts,
    so compare only collections of one size. The BLEU of a text is sacrebleu's `sentence_score`. Of texts that have at
    least `max_ngram_order` tokens it is also what nltk's `sentence_bleu` gives with `SmoothingFunction().method1`, as
    Texygen computes it. Of shorter texts nltk keeps the n-gram orders that they cannot have and counts each as 0.1;
    sacrebleu leaves them out, and with `effective_order=false` gives such a text 0. A text
    without tokens scores 0, and a single text NaN: it has no others.

    `tokenize=auto` takes for all texts the tokeniser that fits most of them by the rule of `BLEUScorer`. The signature
    names it for the texts that were scored last.

    Args:
        tokenize: auto, or sacrebleu's tokeniser: 13a, zh, char, intl, none, and where what they need is installed
            ja-mecab, ko-mecab, flores101, flores200, spBLEU-1K.
        smooth_method: What an n-gram order without a match counts: exp, floor, add-k, or none.
        smooth_value: The number that floor and add-k use; null means 0.1 and 1.
        max_ngram_order: The longest n-grams that are compared.
        effective_order: Leave out n-gram orders that a short text cannot have.
        lowercase: Ignore case.

    Raises:
        InputError: The tokeniser or the smoothing has no such name, the tokeniser would have to be downloaded, the
            order is below 1, or the smoothing value is negative.
    """

    metric_name = "self_bleu"
    higher_is_better = False

    def __init__(
        self,
        tokenize: Tokenizer = "auto",
        smooth_method: Smoothing = "floor",
        smooth_value: Annotated[float, Bound(0)] | None = None,
        max_ngram_order: Annotated[int, Bound(1)] = 4,
        effective_order: bool = True,
        lowercase: bool = False,
    ) -> None:
        self._options = BleuOptions(
            self.name, tokenize, smooth_method, smooth_value, max_ngram_order, effective_order, lowercase
        )
        self._chosen = ""
        super().__init__()

    @property
    def signature(self) -> str:
        """How the score is made, in sacrebleu's manner."""
        unusual = self._options.unusual
        if self._options.tokenize == AUTO and not self._chosen:
            unusual["tok"] = AUTO
        # Without a number of references: these are the other texts.
        return sacrebleu_signature(self._options.engine(self._chosen), "", **unusual)

    def _analyse(self, texts: Sequence[str]) -> tuple[dict[str, float], Details]:
        if len(texts) < 2:
            return {"self_bleu": math.nan}, {"texts": len(texts)}
        if self._options.tokenize == AUTO:
            self._chosen = majority(self._lines(texts))
        engine, order = self._options.engine(self._chosen), self._options.max_ngram_order
        counted = [extract_all_word_ngrams(engine._preprocess_segment(text), 1, order) for text in texts]
        lengths = [length for _, length in counted]
        nearest = _nearest_lengths(lengths)
        second = _second_counts([ngrams for ngrams, _ in counted])
        scores = []
        for index, (ngrams, length) in enumerate(counted):
            matches, totals = [0] * order, [0] * order
            for ngram, count in ngrams.items():
                # The largest count of the others is at least that of the text, or it is the second largest of all.
                matches[len(ngram) - 1] += min(count, second.get(ngram, 0))
                totals[len(ngram) - 1] += count
            scores.append(engine._compute_score_from_stats([length, nearest[index], *matches, *totals]).score)
        score = math.fsum(scores) / len(scores)  # fsum rounds once: no order of the texts counts
        short = sum(length < order for length in lengths)
        return {"self_bleu": score}, {"texts": len(texts), "tokens": sum(lengths), "short_texts": short}

    def _lines(self, texts: Sequence[str]) -> Counter[tuple[str, ...]]:
        """How many texts there are of each fit; an empty one is of no script."""
        return Counter(fit([text]) for text in texts if text.strip())

    def _warnings(self, texts: Sequence[str]) -> dict[str, str]:
        if self._options.tokenize != AUTO:
            return {}
        mixed = mixture(self._lines(texts))
        if not mixed:
            return {}
        return {
            "scripts": f"the texts mix scripts: lines are {mixed}, and all are cut with {self._chosen}. Score the "
            "languages apart, or choose tokenize yourself."
        }


def _second_counts(texts: Sequence[Ngrams]) -> Ngrams:
    """The second largest count of each n-gram over the texts, without n-grams that only one text has."""
    largest, second = Ngrams(), Ngrams()
    for ngrams in texts:
        for ngram, count in ngrams.items():
            most = largest.get(ngram, 0)
            largest[ngram] = max(count, most)
            shared = min(count, most)
            if shared > second.get(ngram, 0):
                second[ngram] = shared
    return second


def _nearest_lengths(lengths: Sequence[int]) -> list[int]:
    """For each length the nearest one of another text, the shorter of two equally near ones."""
    ordered = sorted(lengths)
    nearest = {}
    for length in set(lengths):
        index = bisect_left(ordered, length)
        others = ordered[max(index - 1, 0) : index] + ordered[index + 1 : index + 2]
        nearest[length] = min(others, key=lambda other: (abs(other - length), other))
    return [nearest[length] for length in lengths]
