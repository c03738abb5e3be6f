"""The metrics whose numbers are simple shares: distinct-n, exact match, form accuracy."""

import math
import re
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.errors import InputError
from aigc.metrics.text import DistinctN, ExactMatch, FormAccuracy
from aigc.metrics.text.distinct import DistinctNScorer
from aigc.metrics.text.exact_match import ExactMatchScorer
from aigc.metrics.text.form_accuracy import FormAccuracyScorer

QUATRAIN = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"
options = st.fixed_dictionaries(
    {
        "regexes_to_ignore": st.sampled_from([None, [], ["b+"], [r"\s", "[1A]"], ["A$", "a"]]),
        "ignore_case": st.booleans(),
        "ignore_punctuation": st.booleans(),
        "ignore_numbers": st.booleans(),
    }
)
ascii_texts = st.text(alphabet="aAb1 2.$~", max_size=4)


def distinct(texts: list[str], *orders: int) -> dict[str, float]:
    return DistinctNScorer(orders or (1, 2)).scores_of(texts)


def test_distinct_counts_over_the_whole_collection() -> None:
    texts = ["the cat the cat", "The cat!"]
    assert distinct(texts) == pytest.approx({"distinct_1": 100 * 2 / 6, "distinct_2": 100 * 2 / 4})
    assert distinct(["明月明月", "月"], 1, 3) == pytest.approx({"distinct_1": 40.0, "distinct_3": 100.0})


def test_distinct_ngrams_never_cross_texts() -> None:
    assert DistinctNScorer().details_of(["a b", "c d", "a b"]) == pytest.approx(
        {
            "distinct_1": 100 * 4 / 6,
            "different_1": 4,
            "ngrams_1": 6,
            "distinct_2": 100 * 2 / 3,
            "different_2": 2,
            "ngrams_2": 3,
        }
    )


def test_distinct_is_nan_without_an_ngram_of_that_length() -> None:
    assert distinct(["a", "", "，。"])["distinct_1"] == 100
    assert math.isnan(distinct(["a", "", "，。"])["distinct_2"])
    assert all(map(math.isnan, distinct(["", "，。"]).values()))


@given(st.lists(st.text(alphabet="ab 月明，", max_size=10), min_size=1, max_size=6), st.integers(0, 6))
@settings(deadline=None, max_examples=40)
def test_distinct_of_any_split_in_any_order_is_the_same(texts: list[str], cut: int) -> None:
    metric = DistinctN()
    metric.update(texts[cut:], texts[cut:])
    metric.update(texts[:cut])
    measured = DistinctNScorer().measure(texts)
    assert repr({name: float(score) for name, score in metric.compute().items()}) == repr(measured.scores)
    assert repr(metric.details()) == repr(measured.details)
    assert all(math.isnan(score) or 0 < score <= 100 for score in measured.scores.values())


def test_distinct_before_update_and_after_reset_is_an_error() -> None:
    metric = DistinctN([2])
    with pytest.warns(UserWarning, match="before"), pytest.raises(ValueError, match="DistinctN has no text to measure"):
        metric.compute()
    metric.update(["a b c"])
    assert {name: float(score) for name, score in metric.compute().items()} == {"distinct_2": 100.0}
    metric.reset()
    metric.update([])
    with pytest.raises(ValueError, match="DistinctN has no text to measure"):
        metric.compute()


@pytest.mark.parametrize("orders", [(), (0,), (1, -1), (1.5,), (True,), "12", 2, None])
def test_distinct_refuses_orders_below_one(orders: Any) -> None:
    with pytest.raises(InputError, match=r"DistinctN: orders is .* Allowed: a list of whole numbers of at least 1"):
        DistinctN(orders)


def exact(predictions: list[str], references: list[Any], **given: Any) -> float:
    return ExactMatchScorer(**given).measure(predictions, references).scores["exact_match"]


def by_hand(prediction: str, reference: str, given: dict[str, Any]) -> bool:
    """What Hugging Face evaluate documents, for one pair of ASCII texts."""

    def left(text: str) -> str:
        for expression in given["regexes_to_ignore"] or []:
            text = re.sub(expression, "", text)
        text = text.lower() if given["ignore_case"] else text
        dropped = string.punctuation * given["ignore_punctuation"] + string.digits * given["ignore_numbers"]
        return "".join(character for character in text if character not in dropped)

    return prediction == reference or left(prediction) == left(reference) != ""


@given(st.lists(st.tuples(ascii_texts, ascii_texts), min_size=1, max_size=4), options)
@settings(deadline=None, max_examples=150)
def test_exact_match_has_the_options_of_evaluate(pairs: list[tuple[str, str]], given: dict[str, Any]) -> None:
    expected = sum(by_hand(*pair, given) for pair in pairs)
    assert exact([pair[0] for pair in pairs], [pair[1] for pair in pairs], **given) == 100 * expected / len(pairs)


def test_exact_match_is_strict_by_default() -> None:
    predictions = ["cat", "Cat", "cat.", "cat ", "cat 1", "", "床前明月光，"]
    assert exact(predictions, predictions) == 100
    assert exact(predictions, ["cat"] * 7) == 100 / 7
    assert exact(["a", "b", "c"], [["x", "a"], ["b"], ["a", "b"]]) == pytest.approx(100 * 2 / 3)


def test_exact_match_removes_in_the_order_of_evaluate() -> None:
    assert exact(["YES"], ["no"], regexes_to_ignore=["yes|no"], ignore_case=True) == 0  # expressions see the case
    assert exact(["xYES"], ["xno"], regexes_to_ignore=["YES|no"], ignore_case=True) == 100
    assert exact(["a12"], ["a"], regexes_to_ignore=["1", "2$"]) == 100
    assert exact(["a.1"], ["a"], regexes_to_ignore=[r"\.1"], ignore_punctuation=True) == 100
    assert exact(["a1.5"], ["a1"], ignore_punctuation=True) == 0
    assert exact(["a1.5"], ["A"], ignore_punctuation=True, ignore_numbers=True, ignore_case=True) == 100


def test_exact_match_of_texts_of_which_nothing_is_left() -> None:
    assert exact(["1", "1", "..."], ["2", "1", "?"], ignore_numbers=True, ignore_punctuation=True) == 100 / 3


@pytest.mark.parametrize(
    ("prediction", "reference", "ignored"),
    [
        ("“床前明月光”，疑是《地上霜》。", "床前明月光疑是地上霜", "ignore_punctuation"),
        ("是！？；：、…—（）～＋", "是", "ignore_punctuation"),
        ("a$+<=>^`|~\\_-[]{}", "a", "ignore_punctuation"),
        ("第１２３回٤", "第回", "ignore_numbers"),
        ("ÉCOLE Мир", "école мир", "ignore_case"),
    ],
)
def test_exact_match_ignores_in_every_script(prediction: str, reference: str, ignored: str) -> None:
    assert exact([prediction], [reference], **{ignored: True}) == 100
    others = {"ignore_punctuation", "ignore_numbers", "ignore_case"} - {ignored}
    assert exact([prediction], [reference], **dict.fromkeys(others, True)) == 0


def test_exact_match_says_how_and_of_what() -> None:
    metric = ExactMatch(["the ", "\\d|x"], ignore_case=True)
    metric.update(["The cat", "dog 1"], [["the cat", "a cat"], ["Dog "]])
    metric.update(["a"], ["b"])
    assert {name: float(score) for name, score in metric.compute().items()} == {"exact_match": 100 / 3}
    assert metric.details() == {"exact_match": 100 / 3, "matches": 1, "predictions": 3}
    told = r'nrefs:var|case:lc|punct:yes|numbers:yes|ignored:["the ", "\\d|x"]|version:aigc-'
    assert metric.signature.startswith(told)
    assert ExactMatch(ignore_punctuation=True, ignore_numbers=True).signature.startswith(
        "case:mixed|punct:no|numbers:no|version:aigc-"
    )
    with pytest.raises(TypeError, match="ExactMatch compares predictions with references"):
        metric.update(["a"])


@pytest.mark.parametrize(
    ("expressions", "told"),
    [
        (["a", "b(c"], r"regexes_to_ignore\[1\] 'b\(c' is not a valid pattern: .* at position 1"),
        (["a{99999999999}"], r"regexes_to_ignore\[0\] .* is not a valid pattern"),
        (["a", 5], r"regexes_to_ignore\[1\] is 5"),
        ("the", "regexes_to_ignore is 'the'. Allowed: a list"),
    ],
)
def test_exact_match_refuses_expressions_that_are_none(expressions: Any, told: str) -> None:
    with pytest.raises(InputError, match="ExactMatch: " + told):
        ExactMatch(expressions)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("chinese_quatrain", QUATRAIN, True),
        ("chinese_quatrain", QUATRAIN + "\n", False),
        ("chinese_quatrain", QUATRAIN[:-1], False),
        ("chinese_quatrain", QUATRAIN.replace("，", ","), False),
        ("chinese_quatrain", QUATRAIN.replace("床", "a"), False),
        ("chinese_quatrain", QUATRAIN.replace("床", "𠀀"), True),
        ("chinese_seven_quatrain", "朝辞白帝彩云间，千里江陵一日还。两岸猿声啼不住，轻舟已过万重山。", True),
        ("chinese_seven_quatrain", QUATRAIN, False),
        ("chinese_couplet_line", "床前明月光", True),
        ("chinese_couplet_line", "床前明月光，", False),
        (r"\d+ cats", "12 cats", True),
        (r"\d+ cats", "12 cats!", False),
        (str.isupper, "ABC", True),
        (str.isupper, "AbC", False),
    ],
)
def test_form_is_a_match_of_the_whole_text(pattern: Any, text: str, matches: bool) -> None:
    assert FormAccuracyScorer(pattern).measure([text]).scores == {"form_accuracy": 100.0 * matches}


def test_form_accuracy_is_a_share_over_all_batches() -> None:
    metric = FormAccuracy("a+")
    with pytest.warns(UserWarning, match="before"), pytest.raises(ValueError, match="FormAccuracy has no text"):
        metric.compute()
    metric.update(["a", "b"], ["x", "y"])
    metric.update(["aa", "a"])
    assert {name: float(score) for name, score in metric.compute().items()} == {"form_accuracy": 75.0}
    assert metric.details() == {"form_accuracy": 75.0, "matches": 3, "predictions": 4}
    with pytest.raises(ValueError, match="1 prediction but 2 references"):
        metric.update(["a"], ["a", "b"])
    assert metric.signature.startswith("form:a+|")
    assert FormAccuracyScorer(str.isupper).measure(["A"]).signature.startswith("form:isupper|")


def test_misspelt_form_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no form 'chinese_quatrian'. Did you mean chinese_quatrain"):
        FormAccuracy("chinese_quatrian")
    with pytest.raises(InputError, match="not a valid pattern"):
        FormAccuracy("(unclosed")
