"""Batches of packed rows made of a stream, with the place in the stream that each of them ends at."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from aigc.data.sampler import generator
from aigc.data.text.examples import Example
from aigc.data.text.packing import LENGTH, START, TARGET, Integers, cut, pack, ranges
from aigc.data.text.rows import Batch, assemble
from aigc.data.text.split import group_of
from aigc.data.text.streams import Stream
from aigc.data.text.tokenised import Tokeniser

WINDOW = 256
"""Rows that documents are gathered for before they are packed."""
_CHUNK = 64
_LONGEST_CHUNK = 1 << 20

Slot = dict[str, Any]
"""Where a stream goes on: `source`, the state of the data set where the window begins (None: at its beginning);
`window`, that window's number; `row`, how many of its rows are in batches."""


@dataclass(frozen=True)
class StreamRecipe:
    """How a stream becomes rows.

    Attributes:
        sequence_length: The longest row in tokens.
        packing: Whether a row may hold several documents.
        shuffle: Whether the shards come in another order each epoch.
        shuffle_buffer: Documents that are mixed with each other; 0 or 1 mixes none.
        seed: Decides both, together with the epoch.
    """

    sequence_length: int
    packing: bool
    shuffle: bool
    shuffle_buffer: int
    seed: int


@dataclass(frozen=True)
class _Row:
    """The documents of a row: their tokens one after the other, the length of each, and the first target in each."""

    tokens: Integers
    length: Integers
    target: Integers


class StreamRows:
    """The rows of one rank's share of a stream.

    Documents are gathered in windows, of about `WINDOW` rows or `shuffle_buffer` documents, whichever is more, and each
    window is packed by itself. So a place is that of a window in the source and a number of rows: whoever goes on from
    there reads that window again, and neither text nor tokens have to be kept. The rows are the same for any batch
    size.

    Args:
        stream: The corpus.
        tokenizer: Makes tokens of it; needs an end token.
        recipe: How.
        heldout: The groups (see `aigc.data.text.split.group_of`) that are never trained on.
        rank: Which of the ranks this is.
        world_size: How many ranks there are.
    """

    def __init__(
        self,
        stream: Stream,
        tokenizer: PreTrainedTokenizerFast,
        recipe: StreamRecipe,
        heldout: frozenset[bytes] = frozenset(),
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.stream = stream
        self.recipe = recipe
        self.heldout = heldout
        self.rank = rank
        self.world_size = world_size
        self._tokeniser = Tokeniser(tokenizer, recipe.sequence_length)

    def batches(self, epoch: int, batch_size: int, place: Slot | None = None) -> Iterator[tuple[Batch, Slot]]:
        """Batches with the place after each; what is left at the end of the epoch fills no batch and is left out.

        Args:
            epoch: Decides the order.
            batch_size: Rows in a batch.
            place: Where to begin.

        Raises:
            InputError: The corpus is malformed.
        """
        rows: list[_Row] = []
        for row, after in self._rows(epoch, place):
            rows.append(row)
            if len(rows) == batch_size:
                yield self._batch(rows), after
                rows = []

    def _batch(self, rows: list[_Row]) -> Batch:
        tokens, length, target = (
            np.concatenate([getattr(row, name) for row in rows]) for name in ("tokens", "length", "target")
        )
        counts = np.array([len(row.length) for row in rows])
        return assemble(tokens, length, target, counts, self.recipe.sequence_length)

    def _rows(self, epoch: int, place: Slot | None) -> Iterator[tuple[_Row, Slot]]:
        recipe = self.recipe
        order = (recipe.seed, epoch) if recipe.shuffle else None
        dataset = self.stream.dataset(order, self.rank, self.world_size)
        source, number, done = (place["source"], place["window"], place["row"]) if place else (None, 0, 0)
        if source is not None:
            dataset.load_state_dict(source)
        examples = iter(dataset)
        while (gathered := self._gather(examples)) is not None:
            rows = self._pack(*gathered, (recipe.seed, epoch, number, self.rank))
            for row in range(done, len(rows)):
                yield rows[row], {"source": source, "window": number, "row": row + 1}
            source, number, done = dataset.state_dict(), number + 1, 0

    def _gather(self, examples: Iterator[dict[str, Any]]) -> tuple[Integers, Integers] | None:
        """Tokens and document table of the next window; None at the end."""
        wanted = WINDOW * self.recipe.sequence_length
        found, tokens = 0, 0
        while tokens < wanted or found < self.recipe.shuffle_buffer:
            chunk = self._chunk(examples)
            if chunk is None:
                break
            if chunk:
                self._tokeniser.add(chunk)
            found, tokens = len(self._tokeniser.done.table), self._tokeniser.done.length
        done = self._tokeniser.take()
        if not done.table:
            return None
        return np.concatenate(done.tokens).astype(np.int64), np.asarray(done.table, np.int64)

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

    def _pack(self, tokens: Integers, table: Integers, numbers: tuple[int, ...]) -> list[_Row]:
        """The rows of a window, mixed if that is asked for."""
        recipe = self.recipe
        if recipe.shuffle and recipe.shuffle_buffer > 1:
            table = table[generator(*numbers).permutation(len(table))]
        table = cut(table, recipe.sequence_length)
        if recipe.packing:
            order, begins = pack(table[:, LENGTH], recipe.sequence_length)
            table = table[order]
        else:
            begins = np.arange(len(table) + 1)
        parts = (table[begin:end] for begin, end in pairwise(begins))
        return [
            _Row(tokens[ranges(part[:, START], part[:, LENGTH])], part[:, LENGTH], part[:, TARGET]) for part in parts
        ]
