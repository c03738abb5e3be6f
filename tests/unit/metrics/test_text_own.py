"""The metrics that have no reference implementation: distinct-n, form accuracy, perplexity."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.errors import InputError
from aigc.metrics.text import DistinctN, FormAccuracy, Perplexity

QUATRAIN = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"
batches = st.lists(
    st.tuples(st.floats(0, 1e4), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500)), max_size=6
)


def test_distinct_counts_over_the_whole_corpus() -> None:
    metric = DistinctN()
    metric.update(["the cat the cat"])
    metric.update(["The cat!"])
    assert metric.compute() == pytest.approx({"distinct_1": 100 * 2 / 6, "distinct_2": 100 * 2 / 4})


def test_distinct_counts_characters_in_chinese() -> None:
    metric = DistinctN((1, 3))
    metric.update(["明月明月", "月"])
    assert metric.compute() == pytest.approx({"distinct_1": 40.0, "distinct_3": 100.0})


@given(st.lists(st.text(alphabet="ab 月明，", max_size=10), max_size=6), st.integers(0, 6))
@settings(deadline=None)
def test_distinct_in_several_updates_is_one(texts: list[str], cut: int) -> None:
    whole, parts = DistinctN(), DistinctN()
    whole.update(texts)
    parts.update(texts[:cut])
    parts.update(texts[cut:])
    assert repr(whole.compute()) == repr(parts.compute())
    assert all(math.isnan(value) or 0 < value <= 100 for value in whole.compute().values())


def test_distinct_of_nothing_is_nan() -> None:
    metric = DistinctN()
    metric.update(["", "，。"], ["a", "b"])
    assert all(map(math.isnan, metric.compute().values()))
    metric.update(["a"])
    assert metric.compute()["distinct_1"] == 100
    assert math.isnan(metric.compute()["distinct_2"])
    metric.reset()
    assert all(map(math.isnan, metric.compute().values()))


@pytest.mark.parametrize("orders", [(), (0,), (1, -1)])
def test_distinct_refuses_orders_below_one(orders: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="orders"):
        DistinctN(orders)


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
    ],
)
def test_form_is_a_match_of_the_whole_text(pattern: str, text: str, matches: bool) -> None:
    metric = FormAccuracy(pattern)
    metric.update([text])
    assert metric.compute() == {"form_accuracy": 100.0 * matches}


def test_form_accuracy_is_a_share() -> None:
    metric = FormAccuracy("a+")
    assert math.isnan(metric.compute()["form_accuracy"])
    metric.update(["a", "b"], ["x", "y"])
    metric.update(["aa", "a"])
    assert metric.compute() == {"form_accuracy": 75.0}
    with pytest.raises(ValueError, match="1 predictions but 2 references"):
        metric.update(["a"], ["a", "b"])
    assert metric.signature.startswith("form:a+|")
    metric.reset()
    assert math.isnan(metric.compute()["form_accuracy"])


def test_misspelt_form_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no form 'chinese_quatrian'. Nearest: chinese_quatrain"):
        FormAccuracy("chinese_quatrian")
    with pytest.raises(InputError, match="no valid pattern"):
        FormAccuracy("(unclosed")


def test_perplexity_is_per_token_and_the_rest_stands_beside_it() -> None:
    metric = Perplexity()
    metric.update(nll_sum=1000 * math.log(8), tokens=1000, characters=500, bytes=1500)
    assert metric.compute() == pytest.approx(
        {"perplexity": 8.0, "perplexity_per_character": 64.0, "bits_per_byte": 2.0, "bits_per_character": 6.0}
    )


def test_perplexity_weighs_by_tokens_and_not_by_batches() -> None:
    """The measured case: 1,000 tokens and 10 tokens; the mean of batch means would be 46.5."""
    metric = Perplexity()
    metric.update(1000 * 2.0, 1000, 1, 1)
    metric.update(10 * 5.68, 10, 1, 1)
    assert metric.compute()["perplexity"] == pytest.approx(math.exp((2000 + 56.8) / 1010))
    assert metric.compute()["perplexity"] < 8 < math.exp((2.0 + 5.68) / 2)


@given(batches)
@settings(deadline=None)
def test_perplexity_in_several_updates_is_one(data: list[tuple[float, int, int, int]]) -> None:
    parts, whole = Perplexity(), Perplexity()
    for batch in data:
        parts.update(*batch)
    if data:
        nll, tokens, characters, size = (sum(column) for column in zip(*data, strict=True))
        whole.update(nll, int(tokens), int(characters), int(size))
    assert parts.compute() == pytest.approx(whole.compute(), rel=1e-9, nan_ok=True)


def test_perplexity_at_the_edges() -> None:
    metric = Perplexity()
    assert all(map(math.isnan, metric.compute().values()))
    metric.update(1e6, 1, 0, 0)
    assert metric.compute()["perplexity"] == math.inf
    assert math.isnan(metric.compute()["bits_per_byte"])
    metric.update(math.nan, 1, 1, 1)
    assert math.isnan(metric.compute()["perplexity"])
    with pytest.raises(ValueError, match="-1 tokens"):
        metric.update(1.0, -1, 0, 0)
    metric.reset()
    metric.update(0.0, 2, 2, 2)
    assert metric.compute()["perplexity"] == 1.0
