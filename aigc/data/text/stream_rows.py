"""Batches of rows made of a stream, with the position in the stream that each of them ends at."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np

from aigc.data.random_streams import generator
from aigc.data.text.documents import Documents, Table, gather, join
from aigc.data.text.examples import Example
from aigc.data.text.objectives.base import Context, Objective
from aigc.data.text.rows import Batch
from aigc.data.text.split import group_of
from aigc.data.text.streams import Stream
from aigc.data.text.tokenised import Collector, dropped_note, into_rows
from aigc.errors import InputError
from aigc.runs.console import log

WINDOW = 256
"""Rows that documents are gathered for before they are packed."""
_CHUNK = 64
_LONGEST_CHUNK = 1 << 20

StreamPosition = dict[str, Any]
"""Where a stream resumes: `source`, the state of the data set where the window begins (None: at its beginning);
`window`, that window's number; `row`, how many of its rows are in batches."""


@dataclass(frozen=True)
class StreamRowSettings:
    """How the documents of a stream become rows.

    Attributes:
        packing: Whether a row may hold several documents, if the objective packs.
        shuffle: Whether the shards come in another order each epoch.
        shuffle_buffer: Documents that are mixed with each other; 0 or 1 mixes none.
        seed: Decides both, together with the epoch.
    """

    packing: bool
    shuffle: bool
    shuffle_buffer: int
    seed: int


class StreamRows:
    """The rows of one rank's share of a stream.

    Documents are gathered in windows, of about `WINDOW` rows or `shuffle_buffer` documents, whichever is more, and each
    window is packed by itself. A position is that of a window in the source and a number of rows: a resumed run reads
    that window again, so that neither text nor tokens have to be kept. The rows are the same for any batch size.
    Documents that give nothing to learn are counted: a warning says so at the first ones, and at the end of an epoch.

    Args:
        stream: The corpus.
        objective: Makes documents of it, and batches of these.
        context: What the objective works with.
        settings: How documents become rows.
        heldout: The groups (see `aigc.data.text.split.group_of`) that are never trained on.
        rank: Which of the ranks this is.
        world_size: How many ranks there are.
    """

    def __init__(
        self,
        stream: Stream,
        objective: Objective,
        context: Context,
        settings: StreamRowSettings,
        heldout: frozenset[bytes] = frozenset(),
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.stream = stream
        self.objective = objective
        self.context = context
        self.settings = settings
        self.heldout = heldout
        self.rank = rank
        self.world_size = world_size
        self._collector = Collector(objective, context)
        self.dropped = 0
        """Documents of this epoch, as far as it was read, that give nothing to learn."""

    def batches(
        self, epoch: int, batch_size: int, position: StreamPosition | None = None
    ) -> Iterator[tuple[Batch, StreamPosition]]:
        """Batches with the position after each; what is left at the end of the epoch fills no batch and is left out.

        Args:
            epoch: Decides the order.
            batch_size: Rows in a batch.
            position: Where to begin.

        Raises:
            InputError: The corpus is malformed.
        """
        rows: list[Documents] = []
        for row, after in self._rows(epoch, position):
            rows.append(row)
            if len(rows) == batch_size:
                yield self.objective.collate(join(rows), self.context), after
                rows = []

    def _rows(self, epoch: int, position: StreamPosition | None) -> Iterator[tuple[Documents, StreamPosition]]:
        settings = self.settings
        order = (settings.seed, epoch) if settings.shuffle else None
        dataset = self.stream.dataset(order, self.rank, self.world_size)
        source, number, done = (position["source"], position["window"], position["row"]) if position else (None, 0, 0)
        if source is not None:
            dataset.load_state_dict(source)
        examples = iter(dataset)
        self.dropped = 0
        while (gathered := self._gather(examples)) is not None:
            rows = self._pack(*gathered, (settings.seed, epoch, number, self.rank))
            for row in range(done, len(rows)):
                yield rows[row], {"source": source, "window": number, "row": row + 1}
            source, number, done = dataset.state_dict(), number + 1, 0
        if self.dropped:
            self._log_dropped(f"epoch {epoch} in all")

    def _gather(self, examples: Iterator[dict[str, Any]]) -> tuple[dict[str, Any], Table] | None:
        """Ids and documents of the next window; None at the end."""
        wanted = WINDOW * self.context.sequence_length
        found, tokens = 0, 0
        while tokens < wanted or found < self.settings.shuffle_buffer:
            chunk = self._chunk(examples)
            if chunk is None:
                break
            if chunk:
                self._add(chunk)
            found, tokens = len(self._collector.done.cells), self._collector.done.length
        collected, ids, table = self._collector.take()
        if collected.dropped and not self.dropped:
            self.dropped = collected.dropped
            self._log_dropped("so far")
        else:
            self.dropped += collected.dropped
        return (ids, table) if len(table) else None

    def _add(self, chunk: list[Example]) -> None:
        """Tokenise documents; an error names the stream, if it does not name the file."""
        try:
            self._collector.add(chunk)
        except InputError as error:
            file = chunk[0].file
            raise error if file and file in str(error) else InputError(f"{self.stream.name}: {error}") from error

    def _log_dropped(self, when: str) -> None:
        log.warning(
            "%s, %s: %s", self.stream.name, when, dropped_note("document", self.dropped, self.context.sequence_length)
        )

    def _chunk(self, examples: Iterator[dict[str, Any]]) -> list[Example] | None:
        """The next documents to be tokenised together, none that is held out among them; None at the end."""
        chunk, characters, read = [], 0, 0
        for row in islice(examples, _CHUNK):
            read += 1
            example = self.stream.example(row)
            if example.text.strip() and not self._held_out(example):
                chunk.append(example)
                characters += len(example.text)
                if characters >= _LONGEST_CHUNK:
                    break
        return chunk if read else None

    def _held_out(self, example: Example) -> bool:
        return bool(self.heldout) and group_of(example, 0) in self.heldout

    def _pack(self, ids: dict[str, Any], table: Table, numbers: tuple[int, int, int, int]) -> list[Documents]:
        """The rows of a window, mixed if that is asked for."""
        settings = self.settings
        if settings.shuffle and settings.shuffle_buffer > 1:
            table = table.with_cells(table.cells[generator(*numbers).permutation(len(table))])
        table = self.objective.cut(table, self.context)
        table, begins = into_rows(table, settings.packing and self.objective.packs, self.context.sequence_length)
        return [
            gather(ids, table.with_cells(table.cells[begin:end]), np.array([end - begin]), [(*numbers, row)])
            for row, (begin, end) in enumerate(pairwise(begins))
        ]
