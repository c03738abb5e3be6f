"""What data show of themselves before training: facts, numbers of each split, and samples as a model sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any


@dataclass(frozen=True)
class Piece:
    """Consecutive tokens whose text is shown together: bytes of one character have no text of their own.

    Attributes:
        text: Their text.
        ids: Their ids.
        labels: What the loss is computed against at each of them; None where there is no loss.
        special: Whether a special token is among them.
        expected: The text of the labels where these are other tokens, as for a token that is hidden; else empty.
    """

    text: str
    ids: tuple[int, ...]
    labels: tuple[int | None, ...]
    special: bool = False
    expected: str = ""

    @property
    def learned(self) -> bool:
        """Whether any of the tokens carries loss."""
        return any(label is not None for label in self.labels)


@dataclass(frozen=True)
class Sample:
    """One sample as a model sees it.

    Attributes:
        sequences: The tokens of each sequence, by its name in the batch.
        values: Other numbers of the sample, such as its class, by their names in the batch.
    """

    sequences: Mapping[str, Sequence[Piece]]
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """What data are.

    Attributes:
        facts: How they are read and prepared, by name.
        splits: Numbers of each split, by its name; shares have names with `share`.
        batch: The shape of each tensor of a training batch, or the value of what is none.
    """

    facts: Mapping[str, Any]
    splits: Mapping[str, Mapping[str, int | float]]
    batch: Mapping[str, Any] = field(default_factory=dict)


def joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Join neighbouring pieces that are alike: learned or not, special or not, with no other token expected."""
    runs = []
    for (_, special, expected), run in groupby(pieces, lambda one: (one.learned, one.special, one.expected)):
        group = list(run)
        runs += group if expected else [_join(group, special)]
    return runs


def _join(pieces: Sequence[Piece], special: bool) -> Piece:
    ids = tuple(one for piece in pieces for one in piece.ids)
    return Piece(
        "".join(one.text for one in pieces), ids, tuple(one for piece in pieces for one in piece.labels), special
    )
