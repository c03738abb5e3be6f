"""What text data ask of an objective."""

import hashlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from aigc.data.text.chat.template import ChatTemplate
from aigc.data.text.documents import Documents, Table
from aigc.data.text.examples import Example
from aigc.data.text.packing import IGNORE, Integers, ranges
from aigc.data.text.prompts import Prompt, text_prompts
from aigc.errors import InputError

_MULTIPLE = 8
_FIXED = ("aigc", "abc", "builtins", "typing")
"""Packages whose classes raise `format`, or decide no document."""


@dataclass(frozen=True)
class Context:
    """What an objective works with besides the examples.

    Attributes:
        sequence_length: The longest row in tokens.
        folder: The folder that the tokenizer lies in.
        learned: What `Objective.fit` found, in the training examples of the run that the model comes from.
    """

    sequence_length: int
    folder: Path
    learned: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer; it has an end token."""
        return AutoTokenizer.from_pretrained(self.folder)

    @cached_property
    def chat_template(self) -> ChatTemplate:
        """The chat template of the tokenizer.

        Raises:
            ValueError: It has none.
        """
        return ChatTemplate(self.tokenizer)

    def __reduce__(self) -> tuple[type["Context"], tuple[Any, ...]]:
        return Context, (self.sequence_length, self.folder, self.learned)  # a worker loads the tokenizer itself


@dataclass(frozen=True)
class Encoded:
    """An example as token ids.

    Attributes:
        ids: A list for each of the objective's sequences and annotations.
        numbers: A value for each of the objective's numbers.
        learned: The text of the tokens that are targets, and of no others: validation divides the loss by its
            characters and bytes. Empty where the targets are no text (a class), or are chosen in `collate`; there is no
            score per character or byte then.
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
        sequences: The names of the sequences of token ids that a document has.
        annotations: The names of further sequences, of whole numbers, which take no room in a row.
        numbers: The names of the whole numbers that a document has, a class for example.
        packs: Whether a row may hold several documents. If not, `data.packing` is without effect.
        fits: Whether `fit` needs the examples.
        reads_texts: Whether the text columns of the data are read, or only those that `columns` names.
        uses_chat_template: Whether the tokenizer's chat template decides the documents.
        labels_apart: Whether `labels` are a sequence of their own, as a decoder has, and not those of `input_ids`.
        format: Raised whenever the same arguments would give other documents.
    """

    sequences: tuple[str, ...] = ("tokens",)
    annotations: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    packs: bool = False
    fits: bool = False
    reads_texts: bool = True
    uses_chat_template: bool = False
    labels_apart: bool = False
    format: int = 1

    def columns(self) -> tuple[str, ...]:
        """Columns that are read besides the text columns of the data; `Example.values` holds what stands in them."""
        return ()

    def optional_columns(self) -> tuple[str, ...]:
        """Columns that are read besides where they are there; their values are None in other tables."""
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

        It belongs to the model: checkpoints and model/ hold it, and a run that is resumed, measured or continued with
        other data keeps it. `encode` must raise ValueError for an example that it does not cover. Of a stream, the
        examples are those that the tokenizer is made from.
        """
        return {}

    @property
    def learns(self) -> bool:
        """Whether `fit` finds something."""
        return type(self).fit is not Objective.fit

    def complete_tokenizer(  # noqa: B027
        self, tokenizer: PreTrainedTokenizerFast, learned: Mapping[str, Any]
    ) -> None:
        """Give a tokenizer what the documents need and what is saved with it, such as a chat template.

        Args:
            tokenizer: It is changed.
            learned: What `fit` found.
        """

    def facts(self, context: Context) -> dict[str, Any]:
        """Return what `aigc data` says of how examples become documents, by name."""
        given = " ".join(f"{name}={value}" for name, value in self._arguments().items() if value is not None)
        return {"objective": f"{type(self).__name__} {given}".rstrip()}

    def end_ids(self, context: Context) -> list[int]:
        """Return the ids with which generation ends, besides the tokenizer's end token."""
        return []

    def table(self, cells: Integers) -> Table:
        """Return documents by the cells of their table."""
        return Table((*self.sequences, *self.annotations), self.numbers, cells, len(self.sequences))

    @abstractmethod
    def encode(self, examples: Sequence[Example], context: Context) -> Iterator[Encoded | None]:
        """Turn examples into ids; None where there is nothing to learn.

        Raises:
            ValueError: An example cannot be used.
        """

    def question(self, example: Example, context: Context) -> tuple[Prompt, str] | None:
        """Return what a held-out example asks a model to answer, and the true answer; None for a text without a prompt.

        Evaluation generates from it; the ids of the prompt are those that the example's answer follows in training.
        """
        return (text_prompts(context.tokenizer, [example.prompt])[0], example.text) if example.prompt else None

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
        """Everything that decides the documents: class, format, arguments, and the source of classes outside of aigc.

        It is part of the key in the cache.

        Raises:
            InputError: An argument is not kept as an attribute of its name, or not as a type of JSON.
        """
        settings: dict[str, Any] = {"class": self.name, "format": self.format, "arguments": self._arguments()}
        source = self._source()
        return settings | {"source": source} if source else settings

    @property
    def name(self) -> str:
        """The dotted path of the class."""
        return f"{type(self).__module__}.{type(self).__qualname__}"

    def _arguments(self) -> dict[str, Any]:
        names: dict[str, None] = {}
        for cls in type(self).__mro__:
            if "__init__" in vars(cls) and cls is not object:
                parameters = list(inspect.signature(vars(cls)["__init__"]).parameters.values())[1:]
                names |= {one.name: None for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}
        missing = [name for name in names if not hasattr(self, name)]
        if missing:
            what = f"{self.name} must keep its argument {missing[0]!r} as an attribute of that name"
            raise InputError(f"data.objective: {what}, as it is part of the key of the prepared data")
        arguments = {name: getattr(self, name) for name in names}
        for name, value in arguments.items():
            try:
                json.dumps(value)
            except (TypeError, ValueError) as error:
                what = f"{self.name} keeps a {type(value).__name__} as its argument {name!r}, not a type of JSON"
                raise InputError(f"data.objective: {what}; keep a str, a number, a list or a mapping") from error
        return arguments

    def _source(self) -> str:
        """SHA-256 over the files of the classes outside of aigc, whose `format` nobody raises; empty without any."""
        modules = {cls.__module__: cls for cls in type(self).__mro__ if cls.__module__.partition(".")[0] not in _FIXED}
        total = hashlib.sha256()
        for module, cls in sorted(modules.items()):
            total.update(f"{module}\0{_text_of(cls)}\n".encode("utf-8", "surrogateescape"))
        return total.hexdigest() if modules else ""


def _text_of(cls: type) -> str:
    """The source of the module of a class; empty where there is none, as in an interactive session."""
    try:
        return Path(inspect.getfile(cls)).read_text(encoding="utf-8")
    except (OSError, TypeError, UnicodeDecodeError):
        return ""


def padded_width(longest: int, most: int) -> int:
    """Return the width of the longest row, rounded up to a multiple of 8 for the kernels of a GPU."""
    return min(-(-longest // _MULTIPLE) * _MULTIPLE, most)


def padded(ids: Integers, lengths: Integers, padding: int, most: int, width: int | None = None) -> torch.Tensor:
    """Rows of ids, padded on the right, as (rows, width) int64.

    Args:
        ids: The ids of all rows, one after the other.
        lengths: How many of them each row has, (rows,).
        padding: The value at padding.
        most: The largest width.
        width: The width; None is that of `padded_width`.
    """
    if width is None:
        width = padded_width(int(lengths.max()), most)
    flat = np.full(len(lengths) * width, padding, np.int64)
    flat[ranges(np.arange(len(lengths)) * width, lengths)] = ids
    return torch.from_numpy(flat.reshape(len(lengths), width))
