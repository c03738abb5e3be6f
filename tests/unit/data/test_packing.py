"""Packing loses no target, overfills no row, and wastes next to nothing."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.data.text.objectives.causal import cut, document
from aigc.data.text.packing import pack

BOS, EOS = 1, 2
lengths_strategy = st.integers(2, 40).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(1, n), max_size=60)))
ids = st.lists(st.integers(10, 99), max_size=30)


def rows_of(lengths: list[int], capacity: int) -> list[list[int]]:
    order, offsets = pack(np.asarray(lengths, np.int64), capacity)
    return [order[a:b].tolist() for a, b in pairwise(offsets)]


@given(lengths_strategy)
def test_every_document_stands_in_one_row_and_no_row_is_too_long(case: tuple[int, list[int]]) -> None:
    capacity, lengths = case
    rows = rows_of(lengths, capacity)
    assert sorted(document for row in rows for document in row) == list(range(len(lengths)))
    assert all(0 < sum(lengths[document] for document in row) <= capacity for row in rows)
    assert all(row == sorted(row) for row in rows)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


def slow_best_fit(lengths: list[int], capacity: int) -> int:
    """The number of rows by the definition of best-fit decreasing."""
    room: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [r for r in range(len(room)) if room[r] >= length]
        if fitting:
            room[min(fitting, key=lambda r: room[r])] -= length
        else:
            room.append(capacity - length)
    return len(room)


@given(lengths_strategy)
def test_rows_are_as_few_as_best_fit_decreasing_gives(case: tuple[int, list[int]]) -> None:
    capacity, lengths = case
    assert len(rows_of(lengths, capacity)) == slow_best_fit(lengths, capacity)


@pytest.mark.parametrize("seed", range(3))
def test_random_lengths_fill_rows_to_within_a_hundredth_of_the_optimum(seed: int) -> None:
    generator = np.random.default_rng(seed)
    lengths = np.clip(generator.lognormal(4, 1, 20_000).astype(np.int64), 1, 512)
    _, offsets = pack(lengths, 512)
    optimum = -(-int(lengths.sum()) // 512)
    assert optimum <= len(offsets) - 1 <= 1.01 * optimum


@given(ids, ids, st.sampled_from([BOS, None]), st.integers(2, 20))
def test_a_long_document_loses_its_prompt_first_and_keeps_context(
    prompt: list[int], text: list[int], bos: int | None, length: int
) -> None:
    tokens, target, left_out = document(prompt, text, bos, EOS, length)
    head = [] if bos is None else [bos]
    if not text:
        assert target >= len(tokens)
    elif not prompt:
        assert (tokens, target, left_out) == ([*head, *text, EOS], 1, 0)
    else:
        assert len(tokens) == min(length, len(head) + len(prompt) + len(text) + 1)
        assert left_out == len(head) + len(prompt) + len(text) + 1 - len(tokens)
        context, learned = tokens[:target], tokens[target:]
        assert context
        assert context[: len(head)] == head
        kept = context[len(head) :]
        assert kept == prompt[len(prompt) - len(kept) :]
        assert learned == [*text, EOS][: len(learned)]
        if learned[-1] != EOS:  # the text was shortened only after all of the prompt that may go was gone
            assert len(context) == 1


@given(st.lists(st.integers(2, 100), max_size=10), st.integers(2, 20))
def test_cutting_predicts_every_target_once(lengths: list[int], sequence_length: int) -> None:
    starts = np.cumsum([0, *lengths])[:-1]
    table = np.stack([starts, np.asarray(lengths, np.int64), np.ones(len(lengths), np.int64)], 1).astype(np.int64)
    pieces = cut(table, sequence_length)
    assert all(2 <= length <= sequence_length for length in pieces[:, 1])
    predicted = Counter(
        token for start, length, target in pieces.tolist() for token in range(start + target, start + length)
    )
    assert predicted == Counter(set(range(sum(lengths))) - set(starts.tolist()))


def test_short_documents_are_never_cut() -> None:
    table = np.asarray([[0, 8, 5], [8, 3, 1]])
    np.testing.assert_array_equal(cut(table, 8), table)


def test_nothing_packs_into_no_rows() -> None:
    assert rows_of([], 8) == []
