"""Packing: documents into rows of at most `sequence_length` tokens, none of them split unless longer than a row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

IGNORE = -100
"""The label that carries no loss."""

START, LENGTH, TARGET = 0, 1, 2
"""Columns of a document table: first token (an index into the tokens), number of tokens, first target (within)."""

Integers = NDArray[np.int64]


def document(
    prompt: list[int], text: list[int], bos: int | None, eos: int, sequence_length: int
) -> tuple[list[int], int, int]:
    """`[bos] prompt text [eos]`, shortened to a row when it has a prompt.

    A long one loses the left part of the prompt first, then the right end of the text (and with it the eos). One token
    before the text always stays: the first token of a document is never predicted. A long document without a prompt
    stays whole here and is cut by `cut`.

    Args:
        prompt: Token ids that carry no loss.
        text: Token ids that are learned.
        bos: The first token, if the tokenizer has one.
        eos: The last token.
        sequence_length: The length of a row in tokens.

    Returns:
        The ids, the index of the first target among them, and how many tokens were left out. Without any target the
        index equals the number of ids.
    """
    context = [] if bos is None else [bos]
    if not text:
        return context, len(context), len(prompt)
    completion = [*text, eos]
    if not prompt:
        return context + completion, 1, 0
    whole = len(context) + len(prompt) + len(completion)
    if whole > sequence_length:
        room = max(sequence_length - len(completion) - len(context), 0 if context else 1)
        context += prompt[len(prompt) - min(room, len(prompt)) :]
        completion = completion[: sequence_length - len(context)]
    else:
        context += prompt
    ids = context + completion
    return ids, len(context), whole - len(ids)


def cut(table: Integers, sequence_length: int) -> Integers:
    """Cut documents longer than a row into pieces, each a document of its own.

    Pieces overlap by one token: the last of a piece is the first of the next, where it is context and not predicted, so
    that every target is predicted once.

    Args:
        table: (documents, 3) int64, see `START`, `LENGTH`, `TARGET`; longer than a row, its first target is 1.
        sequence_length: The length of a row in tokens, at least 2.

    Returns:
        (pieces, 3) int64, in the order of the documents.
    """
    stride = sequence_length - 1
    pieces = np.maximum(1, -(-(table[:, LENGTH] - 1) // stride))
    source = np.repeat(np.arange(len(table)), pieces)
    skipped = ranges(np.zeros_like(pieces), pieces) * stride
    start = table[source, START] + skipped
    length = np.minimum(table[source, LENGTH] - skipped, sequence_length)
    return np.stack([start, length, table[source, TARGET]], axis=1)


def pack(lengths: Integers, sequence_length: int) -> tuple[Integers, Integers]:
    """Best-fit decreasing: the longest document first, each into the row that it leaves the least room in.

    Args:
        lengths: (documents,) int64, each at least 1 and at most `sequence_length`.
        sequence_length: The length of a row in tokens.

    Returns:
        The documents in the order of their rows, (documents,) int64, and where each row begins in that order, with the
        end, (rows + 1,) int64. Rows are ordered by their first document, and documents keep their order in a row.
    """
    row_of = _best_fit(lengths, sequence_length)
    count = int(row_of.max(initial=-1)) + 1
    first = np.full(count, len(lengths))
    np.minimum.at(first, row_of, np.arange(len(lengths)))
    rank = np.empty(count, np.int64)
    rank[np.argsort(first)] = np.arange(count)
    order = np.argsort(rank[row_of], kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rank[row_of], minlength=count))])
    return order.astype(np.int64), offsets.astype(np.int64)


def _best_fit(lengths: Integers, sequence_length: int) -> Integers:
    """The row of each document, in O(n log n) and one pass: rows wait in a stack for each number of tokens left."""
    row_of = np.empty(len(lengths), np.int64)
    waiting: list[list[int]] = [[] for _ in range(sequence_length + 1)]
    rooms = 0  # bit r is set when a row with r tokens left is waiting
    shortest = int(lengths.min(initial=sequence_length))
    rows = 0
    longest_first = np.argsort(-lengths, kind="stable")
    for index, length in zip(longest_first.tolist(), lengths[longest_first].tolist(), strict=True):
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1  # the lowest set bit is the tightest room
            row = waiting[room].pop()
            if not waiting[room]:
                rooms ^= 1 << room
        else:
            room, row, rows = sequence_length, rows, rows + 1
        row_of[index] = row
        left = room - length
        if left >= shortest:
            waiting[left].append(row)
            rooms |= 1 << left
    return row_of


def ranges(starts: NDArray[Any], counts: NDArray[Any]) -> Integers:
    """`arange(start, start + count)` for each pair, one after the other, as (sum of counts,) int64."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(int(counts.sum()))
