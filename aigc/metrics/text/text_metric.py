"""Scorers as torchmetrics metrics: they collect over batches and ranks; any split of a corpus gives the same score."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from aigc.distributed.collectives import sync_bytes
from aigc.metrics.distributed_metric import DistributedMetric, SumMetric
from aigc.metrics.text.inputs import References, check_texts, pair_up
from aigc.metrics.text.scorer import AdditiveScorer, CollectionScorer, Details, Integers, Scorer, TextMeasure


class TextMetric(TextMeasure, DistributedMetric):
    """A measure of generated texts. Over several ranks `compute` must be called on each of them."""

    @abstractmethod
    def update(self, predictions: Sequence[str], references: References) -> None:
        """Add texts.

        Args:
            predictions: What the model generated.
            references: What it should have generated: as many, each a text or a list of equally good texts.

        Raises:
            ValueError: The numbers of predictions and references differ, or a prediction has no reference.
            TypeError: An element is not a string; the message names it.
        """

    @abstractmethod
    def compute(self) -> dict[str, Tensor]:
        """Return name to score, scalars of float64, over all texts of all ranks; ValueError where there is none."""

    @abstractmethod
    def details(self) -> Details:
        """Return what the scores were made of, over all ranks: plain numbers, the scores among them."""

    @property
    @abstractmethod
    def signature(self) -> str:
        """How the score is made, in sacrebleu's manner: `key:value` joined by `|`, the version at the end.

        What depends on the texts (their number of references, a tokeniser chosen by script) is that of the last
        `compute`, and of the texts of this rank where these have changed since.
        """


class AdditiveMetric(AdditiveScorer, TextMetric, SumMetric):
    """A scorer with its sums as state: one tensor of int64, one all_reduce."""

    def __init__(self) -> None:
        super().__init__(self.width)
        self._scored: tuple[Integers, Integers] | None = None

    def update(self, predictions: Sequence[str], references: References | None = None) -> None:
        """Add texts; see `TextMetric.update`."""
        self.count(torch.from_numpy(self.statistics(predictions, references).sum(axis=0)))

    def forward(self, predictions: Sequence[str], references: References | None = None) -> dict[str, Tensor]:
        """Add texts and return the scores of these alone, on this rank; errors as for `update` and `compute`."""
        before = _numbers(self.counted)
        self.update(predictions, references)
        return as_tensors(self.scores_of(_numbers(self.counted) - before))

    def compute(self) -> dict[str, Tensor]:
        """Return name to score; see `TextMetric.compute`."""
        own = self._cache["sums"][:-1] if self._is_synced and self._cache else self.counted
        sums = _numbers(self.counted)
        measured = self.measured(sums)
        self._scored = _numbers(own), sums
        return as_tensors(measured.scores)

    def details(self) -> Details:
        """What the scores were made of; see `TextMetric.details`."""
        self.compute()
        assert self._scored is not None
        return self.details_of(self._scored[1])

    def reset(self) -> None:
        """Forget all texts."""
        super().reset()
        self._scored = None

    @property
    def signature(self) -> str:
        """How the score is made; see `TextMetric.signature`."""
        own = _numbers(self.counted)
        if self._scored is not None and np.array_equal(own, self._scored[0]):
            return self.signature_of(self._scored[1])
        return self.signature_of(own)


class CollectionMetric(CollectionScorer, TextMetric):
    """A scorer with the texts as state, as one tensor of bytes: the score is not a sum, so the ranks gather them."""

    texts: Tensor

    def __init__(self) -> None:
        super().__init__(sync_bytes)
        self.add_state("texts", torch.empty(0, dtype=torch.uint8), dist_reduce_fx="cat")
        self._computed_texts: list[str] = []

    def update(self, predictions: Sequence[str], references: References | None = None) -> None:
        """Add texts; references are only checked for their number."""
        texts = check_texts(predictions, "predictions")
        if references is not None:
            pair_up(texts, references)
        self.texts = torch.cat([self.texts, _to_bytes(texts).to(self.texts.device)])

    def forward(self, predictions: Sequence[str], references: References | None = None) -> dict[str, Tensor]:
        """Add texts and return the scores of these alone, on this rank; errors as for `update` and `compute`."""
        self.update(predictions, references)
        return as_tensors(self.scores_of(sorted(predictions)))

    def compute(self) -> dict[str, Tensor]:
        """Return name to score; see `TextMetric.compute`."""
        self._computed_texts = sorted(_from_bytes(self.texts))  # one order for any split of the texts
        return as_tensors(self.measure(self._computed_texts).scores)

    def details(self) -> Details:
        """What the scores were made of; see `TextMetric.details`."""
        self.compute()
        return self.details_of(self._computed_texts)


@cache
def as_metric(scorer: type[Scorer]) -> type[TextMetric]:
    """Make the torchmetrics class of a scorer: it takes the same options and collects over batches and ranks."""
    base: type[TextMetric] = AdditiveMetric if issubclass(scorer, AdditiveScorer) else CollectionMetric
    namespace = {"__doc__": scorer.__doc__, "__module__": __package__}
    return type(scorer.__name__.removesuffix("Scorer"), (scorer, base), namespace)


def as_tensors(scores: dict[str, float]) -> dict[str, Tensor]:
    """Convert scores to float64 scalars on the CPU: not every device has that type."""
    return {name: torch.tensor(score, dtype=torch.float64) for name, score in scores.items()}


def _numbers(sums: Tensor) -> Integers:
    return sums.cpu().numpy().copy()


_END = b"\xff"  # a byte that UTF-8 never has


def _to_bytes(texts: list[str]) -> Tensor:
    # A lone surrogate is not a character, yet a Python string can hold one.
    data = b"".join(text.encode("utf-8", "surrogatepass") + _END for text in texts)
    return torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy())


def _from_bytes(texts: Tensor) -> list[str]:
    data = texts.reshape(-1).cpu().numpy().tobytes()
    return [text.decode("utf-8", "surrogatepass") for text in data.split(_END)[:-1]]
