"""Rows of documents on disk, and the batches made of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from aigc.data.sampler import deal
from aigc.data.text.documents import gather
from aigc.data.text.objectives.base import Context, Objective
from aigc.data.text.packing import Integers, ranges

Batch = dict[str, Any]
"""What `Objective.collate` makes."""


class Rows(Dataset[Batch]):
    """The rows of one split, read through memory maps; a loader asks for samples by `(epoch, index)`.

    Args:
        folder: Holds `NAME.npy`, (ids,) uint16 or uint32, for each sequence of the objective; `documents.npy`, the
            cells of a `Table` in the order of the rows; and `rows.npy`, (rows + 1,) int64, where the documents of each
            row begin.
        objective: Makes the batches.
        context: What it works with.
        seed: Decides, with the epoch and the index of a row, what the objective draws at random for it.
    """

    def __init__(self, folder: Path, objective: Objective, context: Context, seed: int = 0) -> None:
        self.folder = folder
        self.objective = objective
        self.context = context
        self.seed = seed
        self._ids: dict[str, NDArray[Any]] = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r")
            for name in (*objective.sequences, *objective.annotations)
        }
        self._documents: Integers = np.load(folder / "documents.npy", mmap_mode="r")
        self._rows: Integers = np.load(folder / "rows.npy", mmap_mode="r")

    def __reduce__(self) -> tuple[type["Rows"], tuple[Path, Objective, Context, int]]:
        # A pickled memory map is a copy of the whole array: a worker opens the files itself.
        return Rows, (self.folder, self.objective, self.context, self.seed)

    def __len__(self) -> int:
        return len(self._rows) - 1

    def lengths(self) -> Integers:
        """The tokens of each row, (rows,) int64."""
        of_documents = self.objective.table(np.asarray(self._documents)).lengths()
        return np.add.reduceat(of_documents, self._rows[:-1])

    def __getitem__(self, index: int) -> Batch:
        """A row as it is in the first epoch."""
        return self.batch([index])

    def __getitems__(self, samples: Sequence[tuple[int, int]]) -> Batch:
        """The batch of some rows of one epoch; the loader calls this once for each batch."""
        return self.batch([index for _, index in samples], samples[0][0])

    def batch(self, indices: Sequence[int], epoch: int = 0) -> Batch:
        """The batch of the rows at `indices`."""
        rows = np.asarray(indices)
        counts = self._rows[rows + 1] - self._rows[rows]
        cells = self._documents[ranges(self._rows[rows], counts)]
        table = self.objective.table(cells)
        keys = [(self.seed, epoch, int(index)) for index in rows]
        return self.objective.collate(gather(self._ids, table, counts, keys), self.context)


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
        self.batches = deal(len(rows), batch_size, rank, world_size)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        if self.batches[index]:
            return self.rows.batch(self.batches[index])
        return self.rows.objective.without_targets(self.rows.batch([0]))
