"""Examples turned into rows of documents, with the numbers that describe them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from aigc.data.progress import step
from aigc.data.text.documents import Table
from aigc.data.text.examples import Example
from aigc.data.text.objectives.base import Context, Objective
from aigc.data.text.packing import Integers, pack
from aigc.data.text.tokenizer import unknown_tokens
from aigc.errors import InputError
from aigc.printing import plural

_CHUNK = 1000


@dataclass(frozen=True)
class TokenisedSplit:
    """One split, ready to be written.

    Attributes:
        ids: All ids of each sequence, uint16, or uint32 for a vocabulary beyond 65,536.
        table: The documents in the order of the rows.
        rows: (rows + 1,) int64, where the documents of each row begin.
        numbers: What `info.json` says of the split.
    """

    ids: dict[str, NDArray[Any]]
    table: Table
    rows: Integers
    numbers: dict[str, int | float]

    @classmethod
    def load(cls, folder: Path, objective: Objective, numbers: dict[str, int | float]) -> "TokenisedSplit":
        """Open through memory maps what `save` wrote."""
        names = (*objective.sequences, *objective.annotations)
        ids = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
        table = objective.table(np.load(folder / "documents.npy", mmap_mode="r"))
        return cls(ids, table, np.load(folder / "rows.npy"), numbers)

    def save(self, folder: Path) -> None:
        """Write the arrays into a new folder, where `Rows` finds them."""
        folder.mkdir()
        for name, ids in self.ids.items():
            np.save(folder / f"{name}.npy", ids)
        np.save(folder / "documents.npy", self.table.cells)
        np.save(folder / "rows.npy", self.rows)


@dataclass
class Collected:
    """What tokenising has collected so far."""

    ids: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    cells: list[list[int]] = field(default_factory=list)
    shortened: int = 0
    dropped: int = 0
    characters: int = 0
    bytes: int = 0

    @property
    def length(self) -> int:
        """How many ids there are."""
        return sum(self.ends.values())


class Collector:
    """Collects the documents of examples.

    Args:
        objective: Makes the documents.
        context: What it works with.
    """

    def __init__(self, objective: Objective, context: Context) -> None:
        self.objective = objective
        self.context = context
        self.dtype = np.uint16 if max(context.tokenizer.get_vocab().values()) < 2**16 else np.uint32
        # A span of tokens may be longer than the vocabulary is large.
        self.wide = self.dtype if context.sequence_length < 2**16 else np.uint32
        self.done = Collected()

    def _dtype(self, name: str) -> type[np.uint16] | type[np.uint32]:
        """Return the type of a sequence of ids, or of whole numbers."""
        return self.wide if name in self.objective.annotations else self.dtype

    def add(self, examples: Sequence[Example]) -> None:
        """Add the documents of some examples.

        Raises:
            InputError: The objective cannot use one.
        """
        done, sequences = self.done, (*self.objective.sequences, *self.objective.annotations)
        fresh: dict[str, list[int]] = {name: [] for name in sequences}
        try:
            for encoded in self.objective.encode(examples, self.context):
                if encoded is None:
                    done.dropped += 1
                    continue
                cells = []
                for name in sequences:
                    ids = encoded.ids[name]
                    cells += [done.ends.get(name, 0) + len(fresh[name]), len(ids)]
                    fresh[name] += ids
                done.cells.append([*cells, *(encoded.numbers[name] for name in self.objective.numbers)])
                done.shortened += encoded.shortened
                done.characters += len(encoded.learned)
                done.bytes += len(encoded.learned.encode("utf-8"))
        except ValueError as error:
            raise InputError(f"data.objective: {error}") from error
        for name, ids in fresh.items():
            done.ids.setdefault(name, []).append(np.asarray(ids, self._dtype(name)))
            done.ends[name] = done.ends.get(name, 0) + len(ids)

    def take(self) -> tuple[Collected, dict[str, NDArray[Any]], Table]:
        """What was collected since the last time, with the ids of each sequence and the documents cut to rows."""
        done, self.done = self.done, Collected()
        objective = self.objective
        sequences = (*objective.sequences, *objective.annotations)
        ids = {name: np.concatenate([*done.ids.get(name, []), np.empty(0, self._dtype(name))]) for name in sequences}
        width = 2 * len(sequences) + len(objective.numbers)
        table = objective.table(np.asarray(done.cells, np.int64).reshape(-1, width))
        return done, ids, table


def dropped_note(documents: str, dropped: int, sequence_length: int) -> str:
    """Return what is said of documents that are left out.

    Args:
        documents: What they are called, in the singular.
        dropped: How many there are.
        sequence_length: The longest row in tokens.
    """
    return f"{plural(dropped, documents)} dropped: no token to learn fits into data.sequence_length {sequence_length}"


def into_rows(table: Table, packing: bool, sequence_length: int) -> tuple[Table, Integers]:
    """Put documents into rows: several into each when they are packed, else one.

    Returns:
        The documents in the order of the rows, and where those of each row begin, with the end, (rows + 1,) int64.
    """
    if not packing:
        return table, np.arange(len(table) + 1)
    order, begins = pack(table.lengths(), sequence_length)
    return table.with_cells(table.cells[order]), begins


def tokenise(
    name: str, examples: Sequence[Example], objective: Objective, context: Context, packing: bool
) -> TokenisedSplit:
    """Tokenise the examples of one split and put them into rows.

    Args:
        name: The split, for progress.
        examples: What the documents are made of, in order.
        objective: Makes the documents.
        context: What it works with.
        packing: Whether a row may hold several documents, if the objective packs.

    Raises:
        InputError: The objective cannot use an example.
    """
    collector = Collector(objective, context)
    with step(f"tokenising {plural(len(examples), f'{name} document')}", len(examples)) as advance:
        for begin in range(0, len(examples), _CHUNK):
            chunk = examples[begin : begin + _CHUNK]
            collector.add(chunk)
            advance(len(chunk))
    done, ids, table = collector.take()
    whole, table = table, objective.cut(table, context)
    split = int((whole.lengths() > context.sequence_length).sum()) if len(table) > len(whole) else 0
    with step(f"packing {plural(len(table), f'{name} document')}"):
        table, rows = into_rows(table, packing and objective.packs, context.sequence_length)
    in_rows, count = int(table.lengths().sum()), len(rows) - 1
    numbers = {
        "examples": len(examples),
        "documents": len(table),
        "rows": count,
        "tokens": in_rows,
        "target_tokens": int(objective.targets(table).sum()),
        "characters": done.characters,
        "bytes": done.bytes,
        "cut": done.shortened,
        "split": split,
        "pieces": len(table) - len(whole) + split,
        "dropped": done.dropped,
        "unknown_share": _unknown([ids[one] for one in objective.sequences], context.tokenizer),
        "fill_ratio": in_rows / max(1, count * context.sequence_length),
    }
    return TokenisedSplit(ids, table, rows, numbers)


def _unknown(ids: Sequence[NDArray[Any]], tokenizer: PreTrainedTokenizerFast) -> float:
    """The share of ids that are the unknown token or a byte of a character without a token."""
    unknown, total = unknown_tokens(tokenizer), sum(map(len, ids))
    return sum(int(np.isin(one, unknown).sum()) for one in ids) / total if total and unknown else 0.0
