"""Checks of the texts that metrics take."""

from collections.abc import Sequence

from aigc.printing import plural

# One reference per prediction, or several; the number may differ from one prediction to the next.
References = Sequence[str] | Sequence[Sequence[str]]
Pair = tuple[str, list[str]]


def check_texts(texts: Sequence[str], what: str) -> list[str]:
    """Return `texts` as a list; a lone string, or an element that is not a string, is a TypeError."""
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise TypeError(f"{what} must be a list of texts, got {_kind(texts)}")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{what}[{index}] must be a text, got {_kind(text)}")
    return list(texts)


def pair_up(predictions: Sequence[str], references: References) -> list[Pair]:
    """Return (prediction, its references) for each prediction.

    Args:
        predictions: What a model generated.
        references: What it should have generated: as many, each a text or a list of equally good texts.

    Raises:
        ValueError: The numbers of predictions and references differ, or a prediction has no reference.
        TypeError: An element is not a string; the message names it.
    """
    if isinstance(references, str) or not isinstance(references, Sequence):
        raise TypeError(f"references must be a list of texts or a list of lists, got {_kind(references)}")
    texts = check_texts(predictions, "predictions")
    if len(texts) != len(references):
        raise ValueError(
            f"{plural(len(texts), 'prediction')} but {plural(len(references), 'reference')}: give as many of both"
        )
    pairs = []
    for index, (text, reference) in enumerate(zip(texts, references, strict=True)):
        several = [reference] if isinstance(reference, str) else check_texts(reference, f"references[{index}]")
        if not several:
            raise ValueError(f"references[{index}] is empty: a prediction needs at least one reference")
        pairs.append((text, several))
    return pairs


def _kind(thing: object) -> str:
    return "one text" if isinstance(thing, str) else "None" if thing is None else f"a {type(thing).__name__}"
