"""BLEU and chrF against sacrebleu, to the last digit."""

import itertools
import random

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.errors import InputError
from aigc.metrics.text.bleu import BLEUScorer
from aigc.metrics.text.chrf import CHRFScorer
from aigc.metrics.text.scorer import AdditiveScorer
from aigc.metrics.text.ter import TERScorer
from tests.unit.metrics.text_samples import (
    ENGLISH,
    LONG,
    LONG_CHINESE,
    MIXED,
    POEMS,
    REAL,
    Pairs,
    corpora,
    in_order,
    sacrebleu_result,
    split,
)

TOKENIZERS = ["none", "13a", "zh", "intl", "char"]
SMOOTHINGS = [("exp", None), ("floor", None), ("floor", 0.01), ("floor", 0.0), ("add-k", None), ("add-k", 0.5)]
SMOOTHINGS += [("add-k", 3), ("none", None)]
bleu_options = st.builds(
    lambda smoothing, **options: {**options, "smooth_method": smoothing[0], "smooth_value": smoothing[1]},
    st.sampled_from(SMOOTHINGS),
    tokenize=st.sampled_from(TOKENIZERS),
    max_ngram_order=st.integers(1, 6),
    effective_order=st.booleans(),
    lowercase=st.booleans(),
)
chrf_options = st.fixed_dictionaries(
    {
        "char_order": st.integers(1, 8),
        "word_order": st.integers(0, 3),
        "beta": st.integers(1, 3),
        "lowercase": st.booleans(),
        "whitespace": st.booleans(),
        "eps_smoothing": st.booleans(),
    }
)
ALL = [{"tokenize": name} for name in [*TOKENIZERS, "auto"]]


def ordered(pairs: Pairs) -> Pairs:
    return [(prediction, in_order(references)) for prediction, references in pairs]


def assert_bleu(pairs: Pairs, options: dict) -> None:
    ours = BLEUScorer(**options).measure(*split(pairs))
    engine = sacrebleu.BLEU(**options)
    theirs = sacrebleu_result(engine, pairs)
    assert ours.scores == {"bleu": theirs.score}
    assert ours.details["precisions"] == theirs.precisions
    assert ours.details["brevity_penalty"] == theirs.bp
    assert (ours.details["prediction_length"], ours.details["reference_length"]) == (theirs.sys_len, theirs.ref_len)
    order = options.get("max_ngram_order", 4)
    more = "" if order == 4 else f"|order:{order}"
    assert ours.signature == str(engine.get_signature()).replace("|version:", f"{more}|version:")


def assert_chrf(pairs: Pairs, options: dict) -> None:
    ours = CHRFScorer(**options).measure(*split(pairs))
    engine = sacrebleu.CHRF(**options)
    assert ours.scores == {"chrf": sacrebleu_result(engine, ordered(pairs)).score}
    beta = options.get("beta", 2)
    more = "" if beta == 2 else f"|beta:{beta}"
    more += "" if all(len(references) == 1 for _, references in pairs) else "|ties:shortest"
    assert ours.signature == str(engine.get_signature()).replace("|version:", f"{more}|version:")


@given(corpora(), bleu_options)
@settings(max_examples=150, deadline=None)
def test_bleu_is_sacrebleus(pairs: Pairs, options: dict) -> None:
    assert_bleu(pairs, options)


@given(corpora(), chrf_options)
@settings(max_examples=120, deadline=None)
def test_chrf_is_sacrebleus(pairs: Pairs, options: dict) -> None:
    assert_chrf(pairs, options)


@pytest.mark.parametrize("tokenize", TOKENIZERS)
def test_real_texts_have_sacrebleus_scores(tokenize: str) -> None:
    chance = random.Random(0)
    one = [(chance.choice(REAL), [text]) for text in REAL]
    several = [(text, chance.sample(REAL, chance.randint(1, 9))) for text in [*REAL, *LONG, *LONG_CHINESE]]
    many = [(POEMS[0], POEMS), (ENGLISH[0], ENGLISH * 20)]
    near = [(text[:-3] + text[-1:], [text]) for text in [*POEMS, *ENGLISH, *MIXED]]
    long = [(LONG[0], [LONG[1], LONG[0][:-7]]), (LONG_CHINESE[0], LONG_CHINESE)]
    for pairs in (one, several, many, near, long):
        assert_bleu(pairs, {"tokenize": tokenize})
        assert_bleu(pairs, {"tokenize": tokenize, "smooth_method": "add-k", "effective_order": True})


@pytest.mark.parametrize("options", [{}, {"word_order": 2}, {"whitespace": True, "eps_smoothing": True, "beta": 1}])
def test_real_texts_have_sacrebleus_chrf(options: dict) -> None:
    chance = random.Random(1)
    pairs = [(chance.choice(REAL), chance.sample(REAL, chance.randint(1, 4))) for _ in REAL]
    near = [(text[:-3] + text[-1:], [text]) for text in [*POEMS, *ENGLISH, *MIXED]]
    long = [(LONG[0], [LONG[1], LONG[0][:-7]]), (LONG_CHINESE[0], LONG_CHINESE)]
    for corpus in (pairs, near, long):
        assert_chrf(corpus, options)


def test_scores_that_were_measured_once() -> None:
    """Figures from outside of this test: equality with sacrebleu alone would pass if both sides were empty."""
    bleu = BLEUScorer(tokenize="zh").measure([MIXED[0]], [MIXED[1]])
    assert bleu.scores["bleu"] == pytest.approx(56.1869, abs=1e-4)
    tie = BLEUScorer(tokenize="13a").measure(["a b c d e f"], [["a b c d e f g", "a b c d e"]])
    assert tie.scores["bleu"] == pytest.approx(100)
    no_fourgram = BLEUScorer(tokenize="13a").measure(
        ["the cat sat down quietly today"], ["the cat was sitting there quietly"]
    )
    assert no_fourgram.scores["bleu"] == pytest.approx(17.9652, abs=1e-4)
    assert CHRFScorer().measure(["hello"], ["hello"]).scores["chrf"] == pytest.approx(100)
    # Five of six orders of n-grams exist and match.
    assert CHRFScorer(eps_smoothing=True).measure(["hello"], ["hello"]).scores["chrf"] == pytest.approx(100 * 5 / 6)


def test_a_corpus_score_is_no_mean_of_scores() -> None:
    pairs = [("a b c d e f", ["a b c d e f"]), ("a b x", ["y z c d e f g h i j"])]
    scorer = BLEUScorer()
    mean = sum(scorer.measure(*split([pair])).scores["bleu"] for pair in pairs) / 2
    assert abs(scorer.measure(*split(pairs)).scores["bleu"] - mean) > 1


@pytest.mark.filterwarnings("ignore:BLEU. the references mix scripts")
@given(corpora(references=4, size=4), st.sampled_from(ALL), chrf_options, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_no_order_changes_anything(pairs: Pairs, bleu: dict, chrf: dict, chance: random.Random) -> None:
    shuffled = [(prediction, chance.sample(references, len(references))) for prediction, references in pairs]
    chance.shuffle(shuffled)
    for scorer in (BLEUScorer(**bleu), CHRFScorer(**chrf), TERScorer(normalized=True, asian_support=True)):
        assert scorer.measure(*split(shuffled)) == scorer.measure(*split(pairs))


def test_sacrebleus_chrf_depends_on_the_order_of_references() -> None:
    """Two references that are equally far: sacrebleu takes the length of the first."""
    references = ["wxyz wxyz wxyz", "wxyz", "vw"]
    pairs = [[("abc", list(order)), ("the cat", ["the cat"])] for order in itertools.permutations(references)]
    theirs = {sacrebleu_result(sacrebleu.CHRF(), each).score for each in pairs}
    assert max(theirs) - min(theirs) > 5
    ours = {CHRFScorer().measure(*split(each)).scores["chrf"] for each in pairs}
    assert ours == {sacrebleu_result(sacrebleu.CHRF(), ordered(pairs[0])).score}


@pytest.mark.parametrize(
    ("scorer", "unusual"),
    [
        (BLEUScorer(tokenize="zh", max_ngram_order=2), "order:2"),
        (CHRFScorer(beta=1), "beta:1"),
        (BLEUScorer(tokenize="zh"), ""),
        (CHRFScorer(), ""),
    ],
)
def test_signature_says_what_sacrebleu_leaves_out(scorer: AdditiveScorer, unusual: str) -> None:
    parts = scorer.measure(["a"], ["a"]).signature.split("|")
    assert parts[0] == "nrefs:1"
    assert parts[-1] == f"version:{sacrebleu.__version__}"
    assert [part for part in parts if part.startswith(("order:", "beta:"))] == ([unusual] if unusual else [])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_signature_tells_the_number_of_references(numbers: list[int]) -> None:
    measured = CHRFScorer().measure(["a"] * len(numbers), [["b"] * number for number in numbers])
    assert measured.signature.split("|")[0] == f"nrefs:{numbers[0] if len(set(numbers)) == 1 else 'var'}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"smooth_method": "add_k"},
            "smooth_method is 'add_k'. Did you mean add-k\\? Allowed: exp, floor, add-k, none",
        ),
        ({"smooth_method": None}, "smooth_method is None.*exp, floor, add-k, none"),
        ({"max_ngram_order": 0}, "max_ngram_order is 0"),
        ({"smooth_method": "floor", "smooth_value": -1.0}, "smooth_value is -1"),
    ],
)
def test_wrong_option_of_bleu_is_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        BLEUScorer(**options)


@pytest.mark.parametrize("options", [{"char_order": 0}, {"word_order": -1}, {"beta": 0}])
def test_wrong_option_of_chrf_is_refused(options: dict) -> None:
    ((name, value),) = options.items()
    with pytest.raises(InputError, match=f"{name} is {value}"):
        CHRFScorer(**options)
