"""Longest common subsequences against the whole table, and against the one that rouge_score takes out of it."""

from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import lcs_ind

from aigc.metrics.text.lcs import lcs_length, lcs_places, places_of

few = st.lists(st.sampled_from("ab"), max_size=12)
several = st.lists(st.sampled_from("abcde"), max_size=25)
many = st.lists(st.integers(0, 40), max_size=90)
two = st.one_of(st.tuples(few, few), st.tuples(several, several), st.tuples(many, many))


def found(tokens: list[object], others: list[object]) -> list[int]:
    return lcs_places(tokens, places_of(others), len(others))[::-1]


@given(two)
@settings(max_examples=150, deadline=None)
def test_the_subsequence_is_the_one_that_rouge_score_finds(both: tuple[list[object], list[object]]) -> None:
    tokens, others = both
    assert found(tokens, others) == lcs_ind(tokens, others)
    assert lcs_length(tokens, others) == lcs_length(others, tokens) == len(lcs_ind(tokens, others))


def test_another_one_as_long_is_not_taken() -> None:
    # At the last cell both ways are as good: rouge_score goes up. A way that goes left would find index 1.
    assert found(["a", "b"], ["b", "a"]) == [0] == lcs_ind(["a", "b"], ["b", "a"])
    assert found(["b", "a"], ["b", "a"]) == [0, 1]


@given(two)
@settings(max_examples=40, deadline=None)
def test_it_is_a_subsequence_of_both(both: tuple[list[object], list[object]]) -> None:
    tokens, others = both
    places = found(tokens, others)
    assert places == sorted(set(places))
    rest = iter(others)
    assert all(tokens[place] in rest for place in places)  # `in` moves the iterator on


def test_long_sequences() -> None:
    tokens, others = [[place * step % 89 for place in range(600)] for step in (5, 7)]
    assert found(tokens, others) == lcs_ind(tokens, others)
    assert lcs_length(tokens, tokens) == 600
    assert lcs_length(tokens, [-1] * 600) == 0


def test_nothing_has_nothing_in_common() -> None:
    assert lcs_length([], []) == lcs_length(["a"], []) == lcs_length([], ["a"]) == 0
    assert found([], ["a"]) == found(["a"], []) == []


def test_places() -> None:
    assert places_of(["a", "b", "a"]) == {"a": 0b101, "b": 0b010}
