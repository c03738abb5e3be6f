"""Self-BLEU against sacrebleu and nltk, in any order of the texts, and what it refuses."""

import copy
import math
import pickle
import random
import time
import warnings
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from sacrebleu.metrics.bleu import BLEU

from aigc.errors import InputError
from aigc.metrics.text import SelfBLEU
from aigc.metrics.text.scripts import fit, majority
from aigc.metrics.text.self_bleu import SelfBLEUScorer

english = st.lists(st.sampled_from(["a", "b", "cat", "Cat", ",", "the.", "I'm", "&amp;", "3.5"]), max_size=12).map(
    " ".join
)
chinese = st.lists(st.sampled_from([*"月明光，。", "ab", "１"]), max_size=12).map("".join)
collections = st.one_of(
    st.lists(english, min_size=2, max_size=7),
    st.lists(chinese, min_size=2, max_size=7),
    st.lists(st.one_of(english, chinese, st.text(max_size=6)), min_size=2, max_size=7),
)
options = st.fixed_dictionaries(
    {},
    optional={
        "smooth_method": st.sampled_from(["exp", "floor", "add-k", "none"]),
        "smooth_value": st.sampled_from([None, 0.0, 0.05, 2.0]),
        "max_ngram_order": st.integers(1, 5),
        "effective_order": st.booleans(),
        "lowercase": st.booleans(),
        "tokenize": st.sampled_from(["auto", "13a", "zh", "char", "intl", "none"]),
    },
)


def by_sacrebleu(texts: list[str], **given: Any) -> float:
    """The mean of sacrebleu's own score of each text against all the others."""
    chosen = {"tokenize": "auto", "smooth_method": "floor", "effective_order": True} | given
    if chosen["tokenize"] == "auto":
        chosen["tokenize"] = majority(Counter(fit([text]) for text in texts if text.strip()))
    bleu = BLEU(**chosen)
    scores = [bleu.sentence_score(text, texts[:i] + texts[i + 1 :]).score for i, text in enumerate(texts)]
    return sum(scores) / len(scores)


def score(texts: list[str], **given: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # mixed scripts have a test of their own
        return SelfBLEUScorer(**given).scores_of(texts)["self_bleu"]


@given(collections, options)
@settings(deadline=None, max_examples=150)
def test_score_is_the_mean_of_sacrebleus(texts: list[str], given: dict[str, Any]) -> None:
    assert score(texts, **given) == pytest.approx(by_sacrebleu(texts, **given), rel=0, abs=1e-9)


@pytest.mark.parametrize(
    "texts",
    [
        ["a a a a b", "a a b", "a b"],  # who has most of an n-gram is compared with who has second most
        ["a a b b", "a a b b", "a"],  # two have the most
        ["", "", "a b c d"],
        ["a b", "a b c d", "a b c d e f", "a b c"],  # two lengths are equally near: the shorter counts
        ["the cat sat on the mat"] * 3,
    ],
)
def test_counts_and_lengths_come_from_the_other_texts(texts: list[str]) -> None:
    for order in (1, 2, 4):
        assert score(texts, max_ngram_order=order) == pytest.approx(
            by_sacrebleu(texts, max_ngram_order=order), abs=1e-9
        )


@given(st.lists(st.lists(st.sampled_from("abcde"), min_size=4, max_size=9), min_size=2, max_size=5))
@settings(deadline=None, max_examples=60)
def test_long_enough_texts_score_as_with_nltk(tokens: list[list[str]]) -> None:
    """The usual implementation of Self-BLEU, in its usual words: a default of ours that strayed would show."""
    smooth = SmoothingFunction().method1
    scores = [
        sentence_bleu(tokens[:i] + tokens[i + 1 :], text, smoothing_function=smooth) for i, text in enumerate(tokens)
    ]
    texts = [" ".join(text) for text in tokens]
    assert score(texts, tokenize="none") == pytest.approx(100 * sum(scores) / len(scores), abs=1e-9)
    assert score(texts, tokenize="none", effective_order=False) == score(texts, tokenize="none")


def test_short_texts_differ_from_nltk_as_documented() -> None:
    smooth = SmoothingFunction().method1
    assert sentence_bleu([["a", "b"]], ["a", "b"], smoothing_function=smooth) == pytest.approx(0.1**0.5)
    assert score(["a b", "a b"]) == pytest.approx(100)
    assert score(["a b", "a b"], effective_order=False) == 0


@pytest.mark.parametrize(
    "text", ["the cat sat on the mat", "cat", "床前明月光", "月", "東京タワーへ行きました", "🙂 🙃"]
)
def test_same_texts_score_100_and_texts_without_a_common_token_0(text: str) -> None:
    assert score([text] * 4) == pytest.approx(100)
    assert score([text, "другой мир"]) == 0


@given(collections, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_order_of_texts_changes_no_bit(texts: list[str], shuffler: random.Random) -> None:
    other = shuffler.sample(texts, len(texts))
    assert score(texts) == score(other)
    assert SelfBLEUScorer("13a").details_of(texts) == SelfBLEUScorer("13a").details_of(other)


@given(st.lists(english, min_size=2, max_size=6), st.integers(0, 6))
@settings(deadline=None, max_examples=25)
def test_any_split_into_batches_gives_the_same_bits(texts: list[str], cut: int) -> None:
    whole, parts = SelfBLEU(), SelfBLEU()
    whole.update(texts)
    parts.update(texts[cut:], texts[cut:])
    parts.update(texts[:cut])
    assert whole.compute() == parts.compute() == {"self_bleu": score(texts)}
    assert whole.details() == parts.details()


def test_details_and_signature_say_how() -> None:
    scorer = SelfBLEUScorer()
    assert scorer.signature.startswith("case:mixed|eff:yes|tok:auto|smooth:floor[0.10]|version:")
    details = scorer.details_of(["床前明月光，", "明月", ""])
    assert details == pytest.approx({"self_bleu": details["self_bleu"], "texts": 3, "tokens": 8, "short_texts": 2})
    assert 0 < details["self_bleu"] < 100
    assert "|tok:zh|" in scorer.signature
    scorer.scores_of(["cats", "dogs"])
    assert "|tok:13a|" in scorer.signature
    told = SelfBLEUScorer("char", "exp", max_ngram_order=2, effective_order=False, lowercase=True).signature
    assert told.startswith("case:lc|eff:no|tok:char|smooth:exp|order:2|version:")
    assert "|tok:zh|" in SelfBLEUScorer().measure(["明月", "明"]).signature


def test_mixed_scripts_are_told_once() -> None:
    scorer = SelfBLEUScorer()
    with pytest.warns(UserWarning, match=r"SelfBLEU: the texts mix scripts.*1 for 13a, 1 for zh.*cut with 13a"):
        scorer.measure(["cats and dogs", "床前明月光"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer.measure(["cats and dogs", "床前明月光"])
        SelfBLEUScorer().measure(["cats"] * 19 + ["月"])
        SelfBLEUScorer().measure(["床前明月光", "", " "])
        SelfBLEUScorer("char").measure(["cats and dogs", "床前明月光"])


def test_nothing_is_an_error_and_one_text_has_no_score() -> None:
    with pytest.raises(ValueError, match="SelfBLEU has no text"):
        SelfBLEUScorer().scores_of([])
    metric = SelfBLEU()
    metric.update(["alone"])
    assert math.isnan(metric.compute()["self_bleu"])
    metric.update(["more", "of it"])
    assert metric.compute()["self_bleu"] == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"tokenize": "zhh"}, "SelfBLEU: tokenize is 'zhh'.*zh"),
        ({"tokenize": "spm"}, "SelfBLEU: tokenize=spm needs"),
        ({"smooth_method": "flor"}, "SelfBLEU: smooth_method is 'flor'. Did you mean floor\\? Allowed: exp, floor, "),
        ({"smooth_value": -0.1}, "SelfBLEU: smooth_value is -0.1"),
        ({"smooth_value": float("nan")}, "SelfBLEU: smooth_value is nan"),
        ({"max_ngram_order": 0}, "SelfBLEU: max_ngram_order is 0"),
    ],
)
def test_wrong_options_are_refused_by_name(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        SelfBLEUScorer(**given)


def test_scorer_and_metric_can_be_copied_after_use() -> None:
    metric = SelfBLEU()
    metric.update(["the cat sat", "the cat ran"])
    expected = metric.compute()
    assert pickle.loads(pickle.dumps(metric)).compute() == copy.deepcopy(metric).compute() == expected
    assert not metric.higher_is_better


@pytest.mark.slow
def test_time_grows_with_the_corpus_and_not_with_its_square() -> None:
    """5,000 texts of 25 words take about a second; each against all others would be 25 million comparisons."""
    words = random.Random(0)
    texts = [" ".join(f"w{int(3000 * words.random() ** 3)}" for _ in range(25)) for _ in range(5000)]
    start = time.process_time()
    assert 0 < score(texts) < 100
    assert time.process_time() - start < 20
