"""Examples turned into packed rows of tokens, with the numbers that describe them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from aigc.data.progress import step
from aigc.data.text.examples import Example
from aigc.data.text.packing import LENGTH, TARGET, Integers, cut, document, pack
from aigc.data.text.tokenizer import encode, unknown_tokens

_CHUNK = 1000


@dataclass(frozen=True)
class Packed:
    """One split, ready to be written.

    Attributes:
        tokens: (tokens,) uint16, or uint32 for a vocabulary beyond 65,536.
        documents: (documents, 3) int64, see `aigc.data.text.packing`, in the order of the rows.
        rows: (rows + 1,) int64, where each row's documents begin.
        numbers: What `info.json` says of the split.
    """

    tokens: NDArray[Any]
    documents: Integers
    rows: Integers
    numbers: dict[str, int | float]

    def save(self, folder: Path) -> None:
        """Write the arrays into a new folder, where `Rows` finds them."""
        folder.mkdir()
        np.save(folder / "tokens.npy", self.tokens)
        np.save(folder / "documents.npy", self.documents)
        np.save(folder / "rows.npy", self.rows)


@dataclass
class Collected:
    """What tokenising has gathered so far."""

    tokens: list[NDArray[Any]] = field(default_factory=list)
    table: list[tuple[int, int, int]] = field(default_factory=list)
    length: int = 0
    cut: int = 0
    dropped: int = 0
    characters: int = 0
    bytes: int = 0


class Tokeniser:
    """Tokenises examples into documents."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, sequence_length: int) -> None:
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.dtype = np.uint16 if max(tokenizer.get_vocab().values()) < 2**16 else np.uint32
        self.done = Collected()

    def add(self, examples: Sequence[Example]) -> None:
        """Tokenise some examples."""
        prompts = encode(self.tokenizer, [example.prompt for example in examples])
        texts = encode(self.tokenizer, [example.text for example in examples])
        ids: list[int] = []
        for example, prompt, text in zip(examples, prompts, texts, strict=True):
            ids += self._one(example, prompt, text, self.done.length + len(ids))
        self.done.tokens.append(np.asarray(ids, self.dtype))
        self.done.length += len(ids)

    def take(self) -> Collected:
        """What was gathered since the last time."""
        done, self.done = self.done, Collected()
        return done

    def _one(self, example: Example, prompt: list[int], text: list[int], start: int) -> list[int]:
        """The document of one example, entered into the table."""
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        ids, target, left_out = document(prompt, text, bos, eos, self.sequence_length)
        if target >= len(ids):
            self.done.dropped += 1
            return []
        self.done.cut += left_out > 0 or len(ids) > self.sequence_length
        self.done.table.append((start, len(ids), target))
        learned = example.text
        if left_out and ids[-1] != eos:
            learned = self.tokenizer.decode(ids[target:], skip_special_tokens=False)
        elif bos is None and not prompt:  # the first token is context, so its text is not learned
            learned = self.tokenizer.decode(ids[target:-1], skip_special_tokens=False)
        self.done.characters += len(learned)
        self.done.bytes += len(learned.encode("utf-8"))
        return ids


def tokenise(
    name: str,
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerFast,
    sequence_length: int,
    packing: bool,
) -> Packed:
    """Tokenise the examples of one split and pack them into rows.

    Args:
        name: The split, for progress.
        examples: What the documents are made of, in order.
        tokenizer: Needs an end token.
        sequence_length: The longest row in tokens.
        packing: Whether a row may hold several documents.
    """
    tokeniser = Tokeniser(tokenizer, sequence_length)
    with step(f"tokenising {len(examples):,} {name} documents", len(examples)) as advance:
        for begin in range(0, len(examples), _CHUNK):
            chunk = examples[begin : begin + _CHUNK]
            tokeniser.add(chunk)
            advance(len(chunk))
    done = tokeniser.done
    tokens = np.concatenate([*done.tokens, np.empty(0, tokeniser.dtype)])
    table = cut(np.asarray(done.table, np.int64).reshape(-1, 3), sequence_length)
    with step(f"packing {len(table):,} {name} documents"):
        if packing:
            order, rows = pack(table[:, LENGTH], sequence_length)
            table = table[order]
        else:
            rows = np.arange(len(table) + 1)
    return Packed(
        tokens, table, rows, _numbers(examples, done, table, rows, sequence_length, _unknown(tokens, tokenizer))
    )


def _numbers(
    examples: Sequence[Example], done: Collected, table: Integers, rows: Integers, sequence_length: int, unknown: float
) -> dict[str, int | float]:
    """What is worth knowing of a split."""
    in_rows = int(table[:, LENGTH].sum())
    return {
        "examples": len(examples),
        "documents": len(table),
        "rows": len(rows) - 1,
        "tokens": in_rows,
        "target_tokens": in_rows - int(table[:, TARGET].sum()),
        "characters": done.characters,
        "bytes": done.bytes,
        "cut": done.cut,
        "dropped": done.dropped,
        "unknown_share": unknown,
        "fill_ratio": in_rows / max(1, (len(rows) - 1) * sequence_length),
    }


def _unknown(tokens: NDArray[Any], tokenizer: PreTrainedTokenizerFast) -> float:
    """The share of tokens that are the unknown token or a byte of a character without a token."""
    unknown = unknown_tokens(tokenizer)
    return float(np.isin(tokens, unknown).mean()) if len(tokens) and unknown else 0.0
