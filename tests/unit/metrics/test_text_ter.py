"""TER against sacrebleu."""

import random
import warnings
from fractions import Fraction

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.metrics.text.ter import TERScorer
from tests.unit.metrics.text_samples import ENGLISH, MIXED, POEMS, REAL, Pairs, corpora, sacrebleu_result, split

pytestmark = pytest.mark.filterwarnings("ignore:TER. most references are Chinese or Japanese")
NAMES = ("normalized", "no_punct", "asian_support", "case_sensitive")
options = st.fixed_dictionaries({name: st.booleans() for name in NAMES})
CHINESE = {"normalized": True, "asian_support": True}


def assert_ter(pairs: Pairs, options: dict) -> None:
    ours = TERScorer(**options).measure(*split(pairs))
    engine = sacrebleu.TER(**options)
    theirs = sacrebleu_result(engine, pairs)
    # sacrebleu sums the mean lengths of references in float64; ours are summed exactly.
    assert ours.scores["ter"] == pytest.approx(theirs.score, rel=1e-12, abs=1e-9)
    assert ours.details["edits"] == theirs.num_edits
    assert ours.details["reference_length"] == pytest.approx(theirs.ref_length, rel=1e-12, abs=1e-9)
    assert ours.signature == str(engine.get_signature())


@given(corpora(), options)
@settings(max_examples=120, deadline=None)
def test_ter_is_sacrebleus(pairs: Pairs, options: dict) -> None:
    assert_ter(pairs, options)


@pytest.mark.parametrize("options", [{}, CHINESE, {**CHINESE, "no_punct": True, "case_sensitive": True}])
def test_real_texts_have_sacrebleus_ter(options: dict) -> None:
    chance = random.Random(2)
    several = [(text, chance.sample(REAL, chance.randint(1, 5))) for text in REAL]
    near = [(text[:-3] + text[-1:], [text]) for text in [*POEMS[:10], *ENGLISH, *MIXED]]
    shifted = [(" ".join(text.split()[3:] + text.split()[:3]), [text, "x"]) for text in ENGLISH]
    for pairs in (several, near, shifted):
        assert_ter(pairs, options)


def test_600_words_have_sacrebleus_ter() -> None:
    words = [f"word{place}" for place in range(600)]
    changed = [*words[:300], "new", *words[305:], *["more"] * 9]
    assert_ter([(" ".join(changed), [" ".join(words)])], {})


def test_600_words_in_another_order_have_sacrebleus_ter() -> None:
    words = [f"word{place}" for place in range(600)]
    moved = [words[9], *words[:9], *words[10:]]
    assert TERScorer().measure([" ".join(moved)], [" ".join(words)]).details["edits"] == 1
    assert_ter([(" ".join(moved), [" ".join(words)])], {})


def test_a_score_that_was_counted_by_hand() -> None:
    """One shift of three words, and one substitution, of six words."""
    measured = TERScorer().measure(["d e f a b x"], ["a b c d e f"])
    assert measured.details["edits"] == sacrebleu.TER().corpus_score(["d e f a b x"], [["a b c d e f"]]).num_edits == 2
    assert measured.scores["ter"] == pytest.approx(100 * 2 / 6)


@pytest.mark.parametrize(
    ("prediction", "reference", "score"), [("", "", 0), ("a", "", 100), ("", "a b", 100), ("a a a", "b", 300)]
)
def test_empty_and_too_long_texts(prediction: str, reference: str, score: float) -> None:
    assert TERScorer().measure([prediction], [reference]).scores == {"ter": pytest.approx(score)}


def test_the_sum_of_mean_lengths_is_exact() -> None:
    """A third of a word, three thousand times: in float64 the last bits depend on the order."""
    pairs: Pairs = [("a", ["a", "a b", "a"]), ("a b", ["a"]), ("c", ["a b c d", "", "a b"])] * 1000
    length = TERScorer().measure(*split(pairs)).details["reference_length"]
    thirds = Fraction(4 / 3) + 1 + 2  # as float64 has them
    assert length == float(1000 * thirds)
    assert length != sacrebleu_result(sacrebleu.TER(), pairs).ref_length


def test_whole_lines_of_chinese_are_warned_of_once() -> None:
    scorer = TERScorer()
    with pytest.warns(UserWarning, match="normalized=true and asian_support=true"):
        assert scorer.measure([POEMS[0][:-1]], [POEMS[0]]).scores["ter"] == 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer.measure([POEMS[0]], [POEMS[0]])
        assert TERScorer(**CHINESE).measure([POEMS[0][:-1]], [POEMS[0]]).scores["ter"] < 10
        TERScorer().measure(ENGLISH, ENGLISH)
