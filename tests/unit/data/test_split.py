"""No text stands on both sides, and more data does not reshuffle the old."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aigc.data.text.examples import Example
from aigc.data.text.split import normalise, overlap, split
from aigc.errors import InputError

# Few letters, so that duplicates up to width, spaces and composition are common.
words = st.text(st.sampled_from("abＡA \u3000\u00e9e\u0301天"), max_size=4)
plain = st.lists(words.map(Example), min_size=2, max_size=40)
prompted = st.lists(st.builds(Example, words, words.map(lambda w: "問" + w)), min_size=2, max_size=40)
fractions = st.floats(0.01, 0.6)
seeds = st.integers(0, 9)


def distinct(examples: list[Example]) -> set[str]:
    return {normalise(example.prompt or example.text) for example in examples}


@given(plain | prompted, fractions, seeds)
def test_duplicates_never_stand_on_both_sides(examples: list[Example], fraction: float, seed: int) -> None:
    assume(len(distinct(examples)) > max(1, round(fraction * len(distinct(examples)))))
    train, validation = split(examples, fraction, seed)
    assert not distinct(train) & distinct(validation)
    assert overlap(train, validation) == 0


@given(plain | prompted, fractions, seeds)
def test_the_share_is_exact_and_the_order_is_kept(examples: list[Example], fraction: float, seed: int) -> None:
    texts = len(distinct(examples))
    assume(texts > max(1, round(fraction * texts)))
    train, validation = split(examples, fraction, seed)
    assert len(distinct(validation)) == max(1, round(fraction * texts))
    held = distinct(validation)
    assert validation == [e for e in examples if normalise(e.prompt or e.text) in held]
    assert train == [e for e in examples if normalise(e.prompt or e.text) not in held]


@given(st.sets(st.integers(0, 10**6), min_size=20, max_size=60), st.integers(10**7, 10**8), seeds)
def test_one_more_example_moves_at_most_one_other(numbers: set[int], extra: int, seed: int) -> None:
    examples = [Example(str(n)) for n in sorted(numbers)]
    before = {e.text for e in split(examples, 0.2, seed)[1]}
    after = {e.text for e in split([*examples, Example(str(extra))], 0.2, seed)[1]} - {str(extra)}
    assert len(before ^ after) <= 1


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_width_composition_and_white_space_make_no_other_text(text: str) -> None:
    assert normalise(unicodedata.normalize("NFKC", text)) == normalise(text)
    assert normalise(f" \u3000{text}\n") == normalise(text)


def test_seeds_choose_different_texts() -> None:
    examples = [Example(str(n)) for n in range(100)]
    chosen = {tuple(e.text for e in split(examples, 0.1, seed)[1]) for seed in range(5)}
    assert len(chosen) == 5


def test_nothing_is_split_off_at_zero() -> None:
    assert split([Example("a")], 0.0, 0) == ([Example("a")], [])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="allowed: at least 0 and below 1"):
        split([Example("a")], fraction, 0)


def test_a_split_that_leaves_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(InputError, match="of 1 distinct text leaves none to train on"):
        split([Example("a"), Example(" a ")], 0.1, 0)


def test_a_corpus_of_one_line_says_so_and_what_an_example_is() -> None:
    with pytest.raises(InputError, match=r"one text of 1,800,000 characters\. data\.document says what a text"):
        split([Example("字" * 1_800_000)], 0.1, 0)
