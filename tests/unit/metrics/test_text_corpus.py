"""BLEU and chrF against sacrebleu."""

import math
import warnings
from functools import partial

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.errors import InputError
from aigc.metrics.text import BLEU, CHRF, TextMetric

CHINESE = "我们用PyTorch训练GPT-2模型，学习率为3e-4。"
CHINESE_REFERENCE = "我们使用PyTorch来训练GPT-2模型，学习率设为3e-4。"
texts = st.lists(
    st.sampled_from([*"我们训练模型，。", "the ", "cat ", "sat. ", "GPT-2 ", "é", "😀", " "]), max_size=12
).map("".join)
pairs = st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=6)
Pairs = list[tuple[str, list[str]]]


def score(metric: TextMetric, data: Pairs) -> float:
    metric.update([prediction for prediction, _ in data], [references for _, references in data])
    (value,) = metric.compute().values()
    return value


def sacrebleu_score(metric: sacrebleu.BLEU | sacrebleu.CHRF, data: Pairs) -> float:
    most = max(len(references) for _, references in data)
    streams = [[references[i] if i < len(references) else None for _, references in data] for i in range(most)]
    return float(metric.corpus_score([prediction for prediction, _ in data], streams).score)


@given(
    pairs,
    st.sampled_from(["13a", "zh", "char", "intl", "none"]),
    st.sampled_from(["exp", "floor", "add-k", "none"]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_bleu_equals_sacrebleu(data: Pairs, tokenize: str, smooth: str, flag: bool) -> None:
    ours = BLEU(tokenize=tokenize, smooth_method=smooth, effective_order=flag, lowercase=flag)
    theirs = sacrebleu.BLEU(tokenize=tokenize, smooth_method=smooth, effective_order=flag, lowercase=flag)
    assert score(ours, data) == pytest.approx(sacrebleu_score(theirs, data), abs=1e-9)
    assert ours.signature == str(theirs.get_signature())


@given(pairs, st.integers(0, 2), st.booleans())
@settings(max_examples=60, deadline=None)
def test_chrf_equals_sacrebleu(data: Pairs, word_order: int, flag: bool) -> None:
    options = {"lowercase": flag, "whitespace": flag, "eps_smoothing": flag}
    ours, theirs = CHRF(word_order=word_order, **options), sacrebleu.CHRF(word_order=word_order, **options)
    assert score(ours, data) == pytest.approx(sacrebleu_score(theirs, data), abs=1e-9)
    assert ours.signature == str(theirs.get_signature())


@given(pairs, st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_several_updates_are_one(data: Pairs, cut: int) -> None:
    for build in (partial(BLEU, tokenize="zh"), CHRF):
        whole, parts = build(), build()
        for part in (data[:cut], data[cut:]):
            parts.update([prediction for prediction, _ in part], [references for _, references in part])
        (value,) = parts.compute().values()
        assert value == score(whole, data)


def test_corpus_score_is_no_mean_of_scores() -> None:
    data = [("a b c d e f", ["a b c d e f"]), ("a b x", ["y z c d e f g h i j"])]
    mean = sum(score(BLEU(), [pair]) for pair in data) / 2
    assert abs(score(BLEU(), data) - mean) > 1


@pytest.mark.parametrize(
    ("reference", "tokenizer"),
    [
        ("the cat sat on the mat", "13a"),
        ("Кошка сидела на ковре", "13a"),
        ("12 345", "13a"),
        ("", "13a"),
        (CHINESE_REFERENCE, "zh"),
        ("床前明月光，疑是地上霜。", "zh"),
        ("私は毎日コンピュータを使っています。", "char"),
        ("나는 매일 컴퓨터를 사용합니다.", "char"),
    ],
)
def test_tokenizer_follows_the_script_of_the_references(reference: str, tokenizer: str) -> None:
    metric = BLEU()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = score(metric, [(CHINESE, [reference])])
    assert f"tok:{tokenizer}|" in metric.signature
    assert value == sacrebleu_score(sacrebleu.BLEU(tokenize=tokenizer), [(CHINESE, [reference])])


def test_chinese_has_a_score_by_default() -> None:
    assert score(BLEU(), [(CHINESE, [CHINESE_REFERENCE])]) == pytest.approx(56.1869, abs=1e-4)
    assert score(BLEU(), [(CHINESE, [CHINESE])]) == pytest.approx(100)
    assert score(CHRF(), [(CHINESE, [CHINESE])]) == pytest.approx(100)


def test_mixed_corpus_warns_once() -> None:
    metric = BLEU()
    metric.update(["我们训练模型", "we train a model"], ["我们训练模型", "we train a model"])
    with pytest.warns(UserWarning, match="mix scripts.*tokenize=zh"):
        metric.compute()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric.compute()
        BLEU(tokenize="zh").compute()


def test_order_of_references_does_not_matter_to_bleu() -> None:
    for references in (["a b c d e f g", "a b c d e"], ["a b c d e", "a b c d e f g"]):
        assert score(BLEU(), [("a b c d e f", references)]) == pytest.approx(100)


def test_signature_says_what_sacrebleu_leaves_out() -> None:
    assert "tok:auto" in BLEU().signature
    assert "|order:2|" in BLEU(max_ngram_order=2).signature
    assert "|beta:1|" in CHRF(beta=1).signature
    metric = CHRF()
    metric.update(["a", "b"], [["a"], ["b", "c"]])
    assert metric.signature.startswith("nrefs:var|")


@pytest.mark.parametrize("metric", [BLEU(), CHRF()])
def test_nothing_gives_nan_and_so_does_reset(metric: TextMetric) -> None:
    assert all(map(math.isnan, metric.compute().values()))
    metric.update(["a"], ["a"])
    metric.reset()
    assert all(map(math.isnan, metric.compute().values()))
    metric.update([], [])
    assert all(map(math.isnan, metric.compute().values()))


@pytest.mark.parametrize("metric", [BLEU(), CHRF()])
def test_texts_that_do_not_pair_up_are_refused(metric: TextMetric) -> None:
    with pytest.raises(ValueError, match="2 predictions but 3 references"):
        metric.update(["a", "b"], ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"references\[1\] is empty"):
        metric.update(["a", "b"], [["a"], []])
    with pytest.raises(TypeError, match="one text"):
        metric.update("ab", ["a", "b"])
    with pytest.raises(TypeError, match="one text"):
        metric.update(["a", "b"], "ab")
    with pytest.raises(TypeError, match=r"predictions\[1\] must be a text, got int"):
        metric.update(["a", 1], ["a", "b"])  # type: ignore[list-item]
    assert all(map(math.isnan, metric.compute().values())), "a refused update adds nothing"


@pytest.mark.parametrize("options", [{"tokenize": "jieba"}, {"smooth_method": "add_k"}, {"max_ngram_order": 0}])
def test_wrong_bleu_option_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        BLEU(**options)  # type: ignore[arg-type]


def test_wrong_chrf_option_is_refused() -> None:
    with pytest.raises(InputError, match="char_order is 0"):
        CHRF(char_order=0)
