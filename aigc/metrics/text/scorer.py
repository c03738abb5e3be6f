"""Base classes of scorers: they measure texts with neither torch nor torchmetrics."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aigc.metrics.text.inputs import Pair, References, check_texts, pair_up
from aigc.printing import plural

Integers = NDArray[np.int64]
Details = dict[str, Any]


class Measured(NamedTuple):
    """Scores of a corpus, with details and signature."""

    scores: dict[str, float]
    details: Details
    signature: str


class TextMeasure:
    """Common base of scorers and text metrics: what they need, and their names."""

    metric_name: ClassVar[str] = ""
    """Name for `aigc score --metric`; empty: it has none."""
    needs_references: ClassVar[bool] = True
    of_whole_texts: ClassVar[bool] = False
    """Whether it measures a text with the part of it that was given to the model, not only what the model wrote."""
    higher_is_better: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Name in messages."""
        return type(self).__name__.removesuffix("Scorer")

    def warn(self, messages: Mapping[str, str]) -> None:
        """Issue warnings by topic, each topic once."""
        warned: set[str] = self.__dict__.setdefault("_warned", set())
        for topic in messages.keys() - warned:
            warned.add(topic)
            warnings.warn(f"{self.name}: {messages[topic]}", stacklevel=4)


class Scorer(TextMeasure, ABC):
    """Base class of scorers of generated texts; the options are the parameters of the constructor."""

    @abstractmethod
    def measure(self, predictions: Sequence[str], references: References | None = None) -> Measured:
        """Score a corpus.

        Args:
            predictions: What a model generated.
            references: What it should have generated: as many, each a text or a list of equally good texts.

        Raises:
            ValueError: There is no text, the numbers of predictions and references differ, or a prediction has none.
            TypeError: An element is not a string; the message names it.
        """


class AdditiveScorer(Scorer):
    """A scorer whose scores are functions of sums of integers over the pairs, and so of any batches, ranks and order.

    The first columns count pairs, their references, and the squares of those numbers; a subclass adds its own ones.
    """

    _SHARED = 3

    @property
    @abstractmethod
    def _columns(self) -> int:
        """Number of integers per pair, without the shared ones."""

    @abstractmethod
    def _rows(self, pairs: list[Pair]) -> Integers | list[list[int]]:
        """Return the integers of each pair, of shape (pairs, columns)."""

    @abstractmethod
    def _scores(self, sums: Integers, pairs: int) -> dict[str, float]:
        """Return the scores from the sums of the own columns and the number of pairs, which is not 0."""

    def _details(self, sums: Integers, pairs: int) -> Details:
        """Return details beside the scores; arguments as for `_scores`."""
        return {}

    def _warnings(self, sums: Integers, pairs: int) -> dict[str, str]:
        """Warnings about the scores by topic; arguments as for `_scores`."""
        return {}

    @abstractmethod
    def _signature(self, sums: Integers, references: str) -> str:
        """Return how the score is made; `references` is `nrefs:1` and so on, `nrefs:var`, or empty when unknown."""

    @property
    def width(self) -> int:
        """Number of integers per pair."""
        return self._SHARED + self._columns

    def statistics(self, predictions: Sequence[str], references: References | None = None) -> Integers:
        """The integers of each pair, to be summed over pairs: int64 of shape (pairs, `width`). Errors: `measure`."""
        texts = check_texts(predictions, "predictions")
        if references is None and self.needs_references:
            raise TypeError(f"{self.name} compares predictions with references: give both")
        pairs = [(text, []) for text in texts] if references is None else pair_up(texts, references)
        table = np.zeros((len(pairs), self.width), dtype=np.int64)
        if pairs:
            numbers = [len(several) for _, several in pairs]
            table[:, 0], table[:, 1], table[:, 2] = 1, numbers, np.square(numbers)
            table[:, self._SHARED :] = self._checked(self._rows(pairs), len(pairs))
        return table

    def _checked(self, rows: Integers | list[list[int]], pairs: int) -> Integers:
        numbers = np.asarray(rows)
        if numbers.shape != (pairs, self._columns) or numbers.dtype.kind not in "biu":
            raise TypeError(
                f"{self.name}._rows must give {plural(self._columns, 'whole number')} (_columns) for each of "
                f"{plural(pairs, 'pair')}, got "
                f"an array of shape {numbers.shape} and type {numbers.dtype}"
            )
        return numbers

    def scores_of(self, sums: Integers) -> dict[str, float]:
        """Name to score from the sums over all pairs, of shape (`width`,); ValueError where there was no pair."""
        return self._scores(*self._split(sums))

    def details_of(self, sums: Integers) -> Details:
        """What the scores were made of, from the same sums; the scores are part of it."""
        return {**self._scores(*self._split(sums)), **self._details(*self._split(sums))}

    def signature_of(self, sums: Integers) -> str:
        """How the score is made, in sacrebleu's manner: `key:value` joined by `|`, the version at the end."""
        pairs, references, squares = (int(number) for number in sums[: self._SHARED])
        if not references:
            return self._signature(sums[self._SHARED :], "")
        # Numbers are equal exactly where the square of their sum is as large as it can be (Cauchy and Schwarz).
        number = str(references // pairs) if pairs * squares == references**2 else "var"
        return self._signature(sums[self._SHARED :], f"nrefs:{number}")

    def measure(self, predictions: Sequence[str], references: References | None = None) -> Measured:
        """Score a corpus; see `Scorer.measure`."""
        return self.measured(self.statistics(predictions, references).sum(axis=0))

    def measured(self, sums: Integers) -> Measured:
        """Return scores, details and signature from the sums over a corpus; warn where the scores need care."""
        self.warn(self._warnings(*self._split(sums)))
        scores = self.scores_of(sums)
        return Measured(scores, {**scores, **self._details(*self._split(sums))}, self.signature_of(sums))

    def _split(self, sums: Integers) -> tuple[Integers, int]:
        check_not_empty(self.name, int(sums[0]))
        return sums[self._SHARED :], int(sums[0])


class CollectionScorer(Scorer):
    """A scorer of a collection of texts as a whole, whose score is not a sum over its texts, such as diversity."""

    needs_references = False

    @property
    @abstractmethod
    def signature(self) -> str:
        """How the score is made."""

    @abstractmethod
    def _analyse(self, texts: Sequence[str]) -> tuple[dict[str, float], Details]:
        """Name to score of the texts, in any order, and details."""

    def _warnings(self, texts: Sequence[str]) -> dict[str, str]:
        """Warnings about the scores by topic."""
        return {}

    def scores_of(self, texts: Sequence[str]) -> dict[str, float]:
        """Name to score of the texts, in any order; ValueError where there are none."""
        check_not_empty(self.name, len(texts))
        return self._analyse(texts)[0]

    def details_of(self, texts: Sequence[str]) -> Details:
        """What the scores were made of; the scores are part of it. Errors: `scores_of`."""
        check_not_empty(self.name, len(texts))
        scores, more = self._analyse(texts)
        return {**scores, **more}

    def measure(self, predictions: Sequence[str], references: References | None = None) -> Measured:
        """Score a collection; references are only checked for their number."""
        texts = check_texts(predictions, "predictions")
        if references is not None:
            pair_up(texts, references)
        check_not_empty(self.name, len(texts))
        scores, more = self._analyse(texts)
        self.warn(self._warnings(texts))
        return Measured(scores, {**scores, **more}, self.signature)


def check_not_empty(name: str, texts: int) -> None:
    """Raise ValueError where there is no text: 0 would seem to be a score."""
    if not texts:
        raise ValueError(f"{name} has no text to measure: add some first")
