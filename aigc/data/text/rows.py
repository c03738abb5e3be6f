"""Rows of packed documents on disk, and the batches made of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from aigc.data.text.packing import IGNORE, LENGTH, START, TARGET, Integers, ranges

_MULTIPLE = 8


class Batch(TypedDict):
    """What a language model task gets: int64 tensors of shape (rows, length), padded on the right."""

    input_ids: torch.Tensor
    """Token ids; 0 at padding."""
    labels: torch.Tensor
    """The token itself where it is a target, `IGNORE` elsewhere; not shifted."""
    segment_ids: torch.Tensor
    """Which document of the row a token belongs to, from 1; 0 at padding."""
    position_ids: torch.Tensor
    """The token's place in its document, from 0; 0 at padding."""
    target_tokens: int
    """How many labels are not `IGNORE`."""
    packed: bool
    """Whether any row holds several documents."""


class Rows(Dataset[Batch]):
    """The rows of one split, read through memory maps.

    Args:
        folder: Holds `tokens.npy` (tokens,) uint16 or uint32; `documents.npy` (documents, 3) int64, in the order of the
            rows; and `rows.npy` (rows + 1,) int64, where each row's documents begin.
        sequence_length: The longest row in tokens.
    """

    def __init__(self, folder: Path, sequence_length: int) -> None:
        self.folder = folder
        self.sequence_length = sequence_length
        self._tokens: NDArray[Any] = np.load(folder / "tokens.npy", mmap_mode="r")
        self._documents: Integers = np.load(folder / "documents.npy", mmap_mode="r")
        self._rows: Integers = np.load(folder / "rows.npy", mmap_mode="r")

    def __reduce__(self) -> tuple[type["Rows"], tuple[Path, int]]:
        # A pickled memory map is a copy of the whole array: a worker opens the files itself.
        return Rows, (self.folder, self.sequence_length)

    def __len__(self) -> int:
        return len(self._rows) - 1

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The batch of the rows at `indices`; the loader calls this once for each batch."""
        rows = np.asarray(indices)
        counts = self._rows[rows + 1] - self._rows[rows]
        documents = self._documents[ranges(self._rows[rows], counts)]
        start, length, target = documents[:, START], documents[:, LENGTH], documents[:, TARGET]
        tokens = self._tokens[ranges(start, length)].astype(np.int64)
        return assemble(tokens, length, target, counts, self.sequence_length)


def assemble(tokens: Integers, length: Integers, target: Integers, counts: Integers, sequence_length: int) -> Batch:
    """The batch of some rows.

    Args:
        tokens: (tokens,) ids of all documents of all rows, one after the other.
        length: (documents,) tokens of each document.
        target: (documents,) the first target within each.
        counts: (rows,) documents of each row.
        sequence_length: The longest row in tokens.
    """
    tokens_in_row = np.add.reduceat(length, np.cumsum(counts) - counts)
    width = min(-(-int(tokens_in_row.max()) // _MULTIPLE) * _MULTIPLE, sequence_length)
    shape = (len(counts), width)
    filled = ranges(np.arange(len(counts)) * width, tokens_in_row)

    position = ranges(np.zeros_like(length), length)
    segment = np.repeat(ranges(np.ones_like(counts), counts), length)
    label = np.where(position >= np.repeat(target, length), tokens, IGNORE)
    return Batch(
        input_ids=_scatter(tokens, filled, shape, 0),
        labels=_scatter(label, filled, shape, IGNORE),
        segment_ids=_scatter(segment, filled, shape, 0),
        position_ids=_scatter(position, filled, shape, 0),
        target_tokens=int((length - target).sum()),
        packed=bool((counts > 1).any()),
    )


class DealtRows(Dataset[Batch]):
    """Validation rows dealt out among ranks, in as many batches on each, as every forward pass may be a collective.

    A rank that has fewer gets batches without a target to fill up.

    Args:
        rows: All validation rows.
        batch_size: Rows in a batch.
        rank: Which of the ranks this is.
        world_size: How many ranks there are.
    """

    def __init__(self, rows: Rows, batch_size: int, rank: int, world_size: int) -> None:
        self.rows = rows
        mine = range(rank, len(rows), world_size)
        most = -(-len(rows) // world_size)
        self.batches = [list(mine[begin : begin + batch_size]) for begin in range(0, most, batch_size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        if self.batches[index]:
            return self.rows.__getitems__(self.batches[index])
        batch = self.rows.__getitems__([0])
        batch["labels"].fill_(IGNORE)
        batch["target_tokens"] = 0
        return batch


def _scatter(values: Integers, places: Integers, shape: tuple[int, int], padding: int) -> torch.Tensor:
    """A tensor of `shape` with `values` at the flat `places` and padding elsewhere."""
    flat = np.full(shape[0] * shape[1], padding, np.int64)
    flat[places] = values
    return torch.from_numpy(flat.reshape(shape))
