"""What text data ask of an objective."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from aigc.data.text.documents import Documents, Table
from aigc.data.text.examples import Example
from aigc.data.text.packing import IGNORE, Integers, ranges

_MULTIPLE = 8


@dataclass(frozen=True)
class Context:
    """What an objective works with besides the examples.

    Attributes:
        sequence_length: The longest row in tokens.
        folder: The folder that the tokenizer lies in.
        learned: What `Objective.fit` found.
    """

    sequence_length: int
    folder: Path
    learned: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer; it has an end token."""
        return AutoTokenizer.from_pretrained(self.folder)

    def __reduce__(self) -> tuple[type["Context"], tuple[Any, ...]]:
        return Context, (self.sequence_length, self.folder, self.learned)  # a worker loads the tokenizer itself


@dataclass(frozen=True)
class Encoded:
    """An example as token ids.

    Attributes:
        ids: A list for each of the objective's sequences.
        numbers: A value for each of the objective's numbers.
        learned: The text that its targets stand for; its characters and bytes are counted.
        shortened: Whether something was left out as it does not fit into a row.
    """

    ids: Mapping[str, list[int]]
    numbers: Mapping[str, int] = field(default_factory=dict)
    learned: str = ""
    shortened: bool = False


class Objective(ABC):
    """How examples become documents of token ids, which are kept in the cache, and rows of documents a batch.

    The arguments of a subclass are kept as attributes of the same names, of JSON's types. Whatever is random is drawn
    in `collate` from `Documents.random`, so that a resumed run sees the same.

    Attributes:
        sequences: The names of the sequences of ids that a document has.
        numbers: The names of the whole numbers that a document has, a class for example.
        packs: Whether a row may hold several documents. If not, `data.packing` is without effect.
        fits: Whether `fit` needs the examples.
        reads_texts: Whether the text columns of the data are read, or only those that `columns` names.
        format: Raised whenever the same arguments would give other documents.
    """

    sequences: tuple[str, ...] = ("tokens",)
    numbers: tuple[str, ...] = ()
    packs: bool = False
    fits: bool = False
    reads_texts: bool = True
    format: int = 1

    def columns(self) -> tuple[str, ...]:
        """Columns that are read besides the text columns of the data; `Example.values` holds what stands in them."""
        return ()

    def example(self, example: Example) -> Example:
        """The example that is learned from one as it was read; one without a text is left out.

        Raises:
            ValueError: A value cannot be used; the message says which and what is allowed.
        """
        return example

    def texts(self, example: Example) -> Iterable[str]:
        """The texts of a training example, which a tokenizer is made from."""
        return (text for text in (example.prompt, example.text) if text)

    def fit(self, examples: Sequence[Example]) -> dict[str, Any]:
        """What must be known of all training examples, the names of classes for example, in JSON's types.

        Of a stream, these are the examples that the tokenizer is made from.
        """
        return {}

    @abstractmethod
    def encode(self, examples: Sequence[Example], context: Context) -> Iterator[Encoded | None]:
        """Turn examples into ids; None where there is nothing to learn.

        Raises:
            ValueError: An example cannot be used.
        """

    def cut(self, table: Table, context: Context) -> Table:
        """Cut documents that are longer than a row; the order stays."""
        return table

    @abstractmethod
    def targets(self, table: Table) -> Integers:
        """How many targets each document has, (documents,) int64: what losses are normalised by."""

    @abstractmethod
    def collate(self, documents: Documents, context: Context) -> dict[str, Any]:
        """Make the batch of some rows.

        Returns:
            Tensors whose first axis is the rows, among them `labels`, and `target_tokens`, the number of targets.
        """

    def without_targets(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Take all targets out of a batch: ranks with fewer rows fill up with such batches in validation."""
        batch["labels"].fill_(IGNORE)
        batch["target_tokens"] = 0
        return batch

    def settings(self) -> dict[str, Any]:
        """Everything that decides the documents: class, format and arguments; part of the key in the cache."""
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        return {"class": name, "format": self.format, "arguments": dict(vars(self))}


def padded(ids: Integers, lengths: Integers, padding: int, most: int, width: int | None = None) -> torch.Tensor:
    """Rows of ids, padded on the right, as (rows, width) int64.

    Args:
        ids: The ids of all rows, one after the other.
        lengths: How many of them each row has, (rows,).
        padding: The value at padding.
        most: The largest width.
        width: The width; None is the longest row, rounded up to a multiple of 8 for the kernels of a GPU.
    """
    if width is None:
        width = min(-(-int(lengths.max()) // _MULTIPLE) * _MULTIPLE, most)
    flat = np.full(len(lengths) * width, padding, np.int64)
    flat[ranges(np.arange(len(lengths)) * width, lengths)] = ids
    return torch.from_numpy(flat.reshape(len(lengths), width))
