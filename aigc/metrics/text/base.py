"""What all metrics of generated text share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

# One reference per prediction, or several; the number may differ from one prediction to the next.
References = Sequence[str] | Sequence[Sequence[str]]
Pair = tuple[str, list[str]]


class TextMetric(ABC):
    """A measure of generated texts that collects them over many batches and then gives scores from 0 to 100."""

    @abstractmethod
    def update(self, predictions: Sequence[str], references: References) -> None:
        """Add texts.

        Args:
            predictions: What the model generated.
            references: What it should have generated: as many, each a text or a list of equally good texts.

        Raises:
            ValueError: The numbers of predictions and references differ, or a prediction has no reference.
            TypeError: Something in them is no text.
        """

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Return name to score over all texts added so far; NaN where nothing was added."""

    @abstractmethod
    def reset(self) -> None:
        """Forget all texts."""

    @property
    @abstractmethod
    def signature(self) -> str:
        """How the score is made, in sacrebleu's manner: `key:value` joined by `|`, the version at the end."""


def check_texts(texts: Sequence[str], what: str) -> list[str]:
    """Return `texts` as a list; a lone string, or anything in it that is no string, is a TypeError."""
    if isinstance(texts, str):
        raise TypeError(f"{what} must be a list of texts, got one text")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{what}[{index}] must be a text, got {type(text).__name__}")
    return list(texts)


def pair_up(predictions: Sequence[str], references: References) -> list[Pair]:
    """Return (prediction, its references) for each prediction; see `TextMetric.update` for the errors."""
    if isinstance(references, str):
        raise TypeError("references must be a list of texts or a list of lists, got one text")
    texts = check_texts(predictions, "predictions")
    if len(texts) != len(references):
        raise ValueError(f"{len(texts)} predictions but {len(references)} references: give as many of both")
    pairs = []
    for index, (text, reference) in enumerate(zip(texts, references, strict=True)):
        several = [reference] if isinstance(reference, str) else check_texts(reference, f"references[{index}]")
        if not several:
            raise ValueError(f"references[{index}] is empty: a prediction needs at least one reference")
        pairs.append((text, several))
    return pairs
