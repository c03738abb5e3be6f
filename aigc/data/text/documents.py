"""Documents: named sequences of token ids of any lengths, with named numbers; on disk, and gathered for a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.data.random_streams import generator
from aigc.data.text.packing import Integers, ranges


@dataclass(frozen=True)
class Table:
    """Where the sequences of each document are, and its numbers.

    Attributes:
        sequences: The names of the sequences.
        numbers: The names of the numbers.
        cells: (documents, 2 * sequences + numbers) int64: first id (an index into all ids of that name) and length of
            each sequence, then the numbers.
        with_tokens: How many sequences, the first ones, hold tokens; those of others take no room in a row. None means
            all.
    """

    sequences: tuple[str, ...]
    numbers: tuple[str, ...]
    cells: Integers
    with_tokens: int | None = None

    def __len__(self) -> int:
        return len(self.cells)

    def start(self, name: str) -> Integers:
        """Where a sequence begins, (documents,)."""
        return self.cells[:, 2 * self.sequences.index(name)]

    def length(self, name: str) -> Integers:
        """How many ids a sequence has, (documents,)."""
        return self.cells[:, 2 * self.sequences.index(name) + 1]

    def number(self, name: str) -> Integers:
        """A number of each document, (documents,)."""
        return self.cells[:, 2 * len(self.sequences) + self.numbers.index(name)]

    def lengths(self) -> Integers:
        """How many tokens all sequences of a document have together, (documents,)."""
        counted = len(self.sequences) if self.with_tokens is None else self.with_tokens
        total: Integers = self.cells[:, 1 : 2 * counted : 2].sum(axis=1)
        return total

    def with_cells(self, cells: Integers) -> "Table":
        """The same columns with other documents."""
        return replace(self, cells=cells)


@dataclass(frozen=True)
class Documents:
    """The documents of some rows, one after the other.

    Attributes:
        ids: The ids of each sequence, (ids of all documents,) int64.
        table: The documents; where they begin is not to be used, as `ids` holds theirs alone.
        counts: How many documents each row has, (rows,).
        keys: For each row, the numbers that its random draws depend on, see `random`.
    """

    ids: Mapping[str, Integers]
    table: Table
    counts: Integers
    keys: Sequence[tuple[int, ...]]

    def length(self, name: str) -> Integers:
        """How many ids each document has in a sequence, (documents,)."""
        return self.table.length(name)

    def number(self, name: str) -> Integers:
        """A number of each document, (documents,)."""
        return self.table.number(name)

    def random(self, row: int) -> np.random.Generator:
        """Random numbers for a row: the same ones whenever, and by whichever process, the batch is drawn."""
        return generator(*self.keys[row])


def gather(
    ids: Mapping[str, NDArray[Any]], table: Table, counts: Integers, keys: Sequence[tuple[int, ...]]
) -> Documents:
    """Collect the documents of a table.

    Args:
        ids: All ids of each sequence, from which those of the documents are taken.
        table: The documents of all rows, one row after the other.
        counts: How many documents each row has.
        keys: As in `Documents`.
    """
    taken = {
        name: ids[name][ranges(table.start(name), table.length(name))].astype(np.int64) for name in table.sequences
    }
    return Documents(taken, table, counts, keys)


def join(parts: Sequence[Documents]) -> Documents:
    """Put the rows of several collections together."""
    first = parts[0]
    return Documents(
        {name: np.concatenate([part.ids[name] for part in parts]) for name in first.ids},
        first.table.with_cells(np.concatenate([part.table.cells for part in parts])),
        np.concatenate([part.counts for part in parts]),
        [key for part in parts for key in part.keys],
    )
