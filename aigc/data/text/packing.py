"""Packing: whole documents into rows of at most `sequence_length` tokens."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

IGNORE = -100
"""The label that carries no loss."""

Integers = NDArray[np.int64]


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
