"""ROUGE: rouge_score's numbers, for every script, and faster."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import chain
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

import aigc
from aigc.config.problems import choices
from aigc.errors import InputError
from aigc.metrics.exact import DIGITS, from_digits, to_digits
from aigc.metrics.text.inputs import Pair
from aigc.metrics.text.lcs import lcs_length, lcs_places, places_of
from aigc.metrics.text.scorer import AdditiveScorer, Details, Integers
from aigc.metrics.text.sentences import split_lines, split_sentences
from aigc.metrics.text.tokenizer import Name, choose_tokenizer

Type = Literal[
    "rouge1", "rouge2", "rouge3", "rouge4", "rouge5", "rouge6", "rouge7", "rouge8", "rouge9", "rougeL", "rougeLsum"
]
TYPES = get_args(Type)
_MEASURES = ("", "_precision", "_recall")

Tokens = Sequence[Hashable]


class _Cut(NamedTuple):
    """The tokens of a text, and those of each of its sentences."""

    tokens: Tokens
    sentences: list[Tokens]


class ROUGEScorer(AdditiveScorer):
    """Mean ROUGE F-measure over the predictions from 0 to 100 (Lin, 2004), equal to rouge_score 0.1.2 where that works.

    rouge_score drops all but a-z and 0-9: two equal Chinese texts score 0, and two unrelated ones that share a Latin
    word 100. Here `auto` cuts all scripts, see `ScriptTokenizer`. On ASCII text its tokens are rouge_score's; with
    `rouge_score` they are on any text. Both leave out Latin letters beyond a-z (`café` is `caf`), as that library does.
    rougeLsum is equal for the same sentences; by default they are not cut at line feeds alone, see `split_summaries`.
    Of several references the best counts, for each type on its own.

    Args:
        rouge_types: Which scores: rouge1 to rouge9 compare n-grams, rougeL the longest common subsequence, rougeLsum
            the same sentence by sentence.
        use_stemmer: Reduce English words to their stem (Porter, 1980) first.
        tokenizer: auto for all scripts, rouge_score for English alone, zh-char to compare all characters but white
            space, jieba for Chinese words, or in Python a function from a text to its tokens.
        split_summaries: What is a sentence of rougeLsum: with true it ends at a line feed and after 。！？!?. and with
            false at a line feed alone; null means false for the tokenizer rouge_score, and true for the others.

    Raises:
        InputError: A type or the tokeniser has no such name, the tokeniser needs a package that is missing, or it
            cannot go with the stemmer.
    """

    metric_name = "rouge"

    def __init__(
        self,
        rouge_types: Sequence[Type] = ("rouge1", "rouge2", "rougeL"),
        use_stemmer: bool = False,
        tokenizer: Name | Callable[[str], Iterable[Hashable]] = "auto",
        split_summaries: bool | None = None,
    ) -> None:
        self._types = _check_types(self.name, rouge_types)
        self._cut_text, self._cut_by = choose_tokenizer(self.name, tokenizer, use_stemmer)
        self._folds_case = isinstance(tokenizer, str)
        self._use_stemmer = use_stemmer
        self._splits = tokenizer != "rouge_score" if split_summaries is None else split_summaries
        super().__init__()

    @property
    def _columns(self) -> int:
        # For each type F-measure, precision and recall, as digits.
        return len(self._types) * len(_MEASURES) * DIGITS

    def _rows(self, pairs: list[Pair]) -> Integers:
        rows = []
        for prediction, references in pairs:
            cut = self._cut(prediction)
            rows += [self._compare(cut, self._cut(reference)) for reference in references]
        hits, predicted, expected = np.array(rows, dtype=np.int64).reshape(len(rows), -1, 3).transpose(2, 0, 1)
        scores = _measures(hits, predicted, expected)
        if len(rows) > len(pairs):
            scores = _best(scores, [len(references) for _, references in pairs])
        return to_digits(scores).reshape(len(pairs), self._columns)

    def _cut(self, text: str) -> _Cut:
        sentences: list[Tokens] = []
        if "rougeLsum" in self._types:
            parts = split_sentences(text) if self._splits else split_lines(text)
            sentences = [self._tokens(part) for part in parts]
        return _Cut(self._tokens(text) if self._types != ("rougeLsum",) else [], sentences)

    def _tokens(self, text: str) -> Tokens:
        tokens = self._cut_text(text)
        if isinstance(tokens, list):
            return tokens
        # A function of the person's. Of a text each character would pass for a token.
        if isinstance(tokens, str) or not isinstance(tokens, Iterable):
            raise TypeError(f"{self.name}: the tokenizer must return a list of tokens, got a {type(tokens).__name__}")
        return list(tokens)

    def _compare(self, prediction: _Cut, reference: _Cut) -> list[int]:
        """For each type how much is in both, in the prediction, and in the reference."""
        counts = []
        for name in self._types:
            ours, theirs = prediction.tokens, reference.tokens
            if name == "rougeL":
                counts += [lcs_length(theirs, ours), len(ours), len(theirs)]
            elif name == "rougeLsum":
                counts += _compare_sentences(prediction.sentences, reference.sentences)
            else:
                order = int(name[5:])
                numbers = [max(len(tokens) - order + 1, 0) for tokens in (ours, theirs)]
                counts += [_overlap(_ngrams(ours, order), _ngrams(theirs, order)), *numbers]
        return counts

    def _scores(self, sums: Integers, pairs: int) -> dict[str, float]:
        return {name: value for name, value in self._details(sums, pairs).items() if name in self._types}

    def _details(self, sums: Integers, pairs: int) -> Details:
        names = [name + measure for name in self._types for measure in _MEASURES]
        means = [100.0 * from_digits(digits) / pairs for digits in sums.reshape(-1, DIGITS)]
        return dict(zip(names, means, strict=True))

    def _signature(self, sums: Integers, references: str) -> str:
        parts = [
            references,
            "refs:best",
            "case:lc" if self._folds_case else "",
            f"tok:{self._cut_by}",
            f"stem:{'porter' if self._use_stemmer else 'no'}",
            f"split:{'sentence' if self._splits else 'line'}" if "rougeLsum" in self._types else "",
            "score:f1",
            f"version:aigc-{aigc.__version__}",
        ]
        return "|".join(filter(None, parts))


def _check_types(who: str, types: Sequence[str]) -> tuple[str, ...]:
    wrong = [types] if isinstance(types, str) else [name for name in types if name not in TYPES]
    if wrong or not types:
        allowed = choices(wrong[0] if wrong else "", TYPES)
        raise InputError(f"{who}: rouge_types is {types!r}, a list of types is expected. {allowed}")
    return tuple(dict.fromkeys(types))


def _ngrams(tokens: Tokens, order: int) -> Iterable[Hashable]:
    return tokens if order == 1 else zip(*(tokens[start:] for start in range(order)), strict=False)


def _overlap(some: Iterable[Hashable], others: Iterable[Hashable]) -> int:
    """Count the n-grams in common, each as often as in the text where it is rarer."""
    left: dict[Hashable, int] = {}
    for ngram in others:
        left[ngram] = left.get(ngram, 0) + 1
    hits = 0
    for ngram in some:
        number = left.get(ngram)
        if number:
            left[ngram] = number - 1
            hits += 1
    return hits


def _compare_sentences(prediction: list[Tokens], reference: list[Tokens]) -> list[int]:
    """How many tokens of the reference are in the union of the subsequences that its sentences share with others."""
    sentences = [(places_of(tokens), len(tokens)) for tokens in prediction if tokens]
    taken: list[Hashable] = []
    for tokens in reference:
        union: set[int] = set()
        words = set(tokens)
        for places, width in sentences:
            if not words.isdisjoint(places):
                union.update(lcs_places(tokens, places, width))
        taken += [tokens[index] for index in union]
    # No token counts more often than both texts have it, as in ROUGE-1.5.5.
    ours = [*chain.from_iterable(prediction)]
    return [_overlap(taken, ours), len(ours), sum(map(len, reference))]


def _measures(hits: Integers, predicted: Integers, expected: Integers) -> NDArray[np.float64]:
    """F-measure, precision and recall along a new last axis, in rouge_score's order of operations."""
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(expected, 1)
    both = precision + recall
    f_measure = 2 * precision * recall / np.where(both > 0, both, 1.0)
    return np.stack([f_measure, precision, recall], axis=-1)


def _best(scores: NDArray[np.float64], numbers: list[int]) -> NDArray[np.float64]:
    """Of several references of each pair the best one for each type: the greatest F-measure, precision, recall.

    Args:
        scores: Shape (references of all pairs, types, 3).
        numbers: How many of them each pair has.
    """
    ends = np.cumsum(numbers)
    pair = np.repeat(np.arange(len(numbers)), numbers)
    columns = []
    for column in scores.transpose(1, 2, 0):
        f_measure, precision, recall = column
        order = np.lexsort((recall, precision, f_measure, pair))
        columns.append(column[:, order[ends - 1]])
    return np.array(columns).transpose(2, 0, 1)
