"""ROUGE against rouge_score, and the tokeniser it stands on."""

import math
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from aigc.errors import InputError
from aigc.metrics.text import ROUGE
from aigc.metrics.text.tokenizer import ScriptTokenizer, count_scripts

TYPES = ("rouge1", "rouge2", "rouge3", "rougeL", "rougeLsum")
CHINESE = "生成对抗网络由生成器和判别器组成。"
words = st.lists(
    st.sampled_from(["The", "cat,", "sat!", "running", "runners", "GPT-2", "isn't", "3.14", "\n", "MAT"]), max_size=12
).map(" ".join)
texts = st.one_of(words, st.text(alphabet=string.printable, max_size=30))
corpora = st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=5)
Pairs = list[tuple[str, list[str]]]


def score(
    data: Pairs, types: tuple[str, ...] = TYPES, use_stemmer: bool = False, tokenizer: str = "auto"
) -> dict[str, float]:
    metric = ROUGE(types, use_stemmer, tokenizer)
    metric.update([prediction for prediction, _ in data], [references for _, references in data])
    return metric.compute()


@given(corpora, st.booleans())
@settings(max_examples=80, deadline=None)
def test_equals_rouge_score_on_ascii_text(data: Pairs, use_stemmer: bool) -> None:
    scorer = RougeScorer(list(TYPES), use_stemmer=use_stemmer)
    scores = [scorer.score_multi(references, prediction) for prediction, references in data]
    expected = {name: 100 * sum(row[name].fmeasure for row in scores) / len(scores) for name in TYPES}
    assert score(data, use_stemmer=use_stemmer) == pytest.approx(expected, abs=1e-6)
    assert score(data, use_stemmer=use_stemmer, tokenizer="rouge_score") == pytest.approx(expected, abs=1e-6)


@given(st.text(alphabet=st.characters(max_codepoint=127)), st.booleans())
@settings(deadline=None)
def test_tokens_of_ascii_text_are_those_of_rouge_score(text: str, use_stemmer: bool) -> None:
    assert ScriptTokenizer(use_stemmer).tokenize(text) == DefaultTokenizer(use_stemmer).tokenize(text)


@given(corpora, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_of_references_does_not_matter(data: Pairs, random: object) -> None:
    shuffled = [(prediction, random.sample(references, len(references))) for prediction, references in data]  # type: ignore[attr-defined]
    assert score(shuffled) == score(data)


@given(corpora, st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_several_updates_are_one(data: Pairs, cut: int) -> None:
    metric = ROUGE(TYPES)
    for part in (data[:cut], data[cut:]):
        metric.update([prediction for prediction, _ in part], [references for _, references in part])
    assert metric.compute() == score(data)


def test_identical_chinese_text_scores_100() -> None:
    assert score([(CHINESE, [CHINESE])], tokenizer="rouge_score")["rouge1"] == 0, (
        "the control: rouge_score alone gives 0"
    )
    assert score([(CHINESE, [CHINESE])]) == pytest.approx(dict.fromkeys(TYPES, 100.0))


def test_unrelated_chinese_text_that_shares_latin_words_does_not_score_100() -> None:
    pair = ("我们用PyTorch训练GPT-2模型，学习率为3e-4。", ["完全不同的内容 PyTorch GPT-2 3e-4"])
    assert score([pair], tokenizer="rouge_score")["rouge1"] == 100, "the control: rouge_score alone gives 100"
    scores = score([pair], ("rouge1", "rouge2", "rougeL"))
    assert scores == pytest.approx({"rouge1": 35.71, "rouge2": 15.38, "rougeL": 35.71}, abs=0.01)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("我们用PyTorch，3e-4", ["我", "们", "用", "pytorch", "3e", "4"]),
        ("２０２６年ＧＰＴ", ["2026", "年", "gpt"]),
        ("𠀀々〇", ["𠀀", "々", "〇"]),
        ("私はコンピュータです", ["私", "は", "コンピュータ", "です"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("Привет, мир!", ["привет", "мир"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("café", ["caf"]),
        ("😀，。！", []),
    ],
)
def test_units_of_scripts(text: str, tokens: list[str]) -> None:
    assert ScriptTokenizer().tokenize(text) == tokens
    assert ScriptTokenizer(use_stemmer=True).tokenize(text) == tokens


def test_count_of_scripts() -> None:
    counts = count_scripts(["我们 GPT 2 です", "мир 한국어"])
    assert counts == {"latin": 2, "han": 2, "kana": 1, "hangul": 1, "other": 1}


def test_each_type_takes_its_own_best_reference() -> None:
    references = ["a b x x x", "b a c y y"]
    single = [score([("a b c", [reference])]) for reference in references]
    assert score([("a b c", references)]) == {name: max(row[name] for row in single) for name in TYPES}


def test_nothing_gives_nan() -> None:
    metric = ROUGE()
    assert all(map(math.isnan, metric.compute().values()))
    metric.update(["a"], ["a"])
    metric.reset()
    assert list(metric.compute()) == ["rouge1", "rouge2", "rougeL"]
    assert all(map(math.isnan, metric.compute().values()))


def test_unequal_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="1 predictions but 2 references"):
        ROUGE().update(["a"], ["a", "b"])


@pytest.mark.parametrize("types", [("rouge0",), ("rougel",), (), "rouge1"])
def test_wrong_type_is_refused(types: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="rouge_types"):
        ROUGE(types)


def test_wrong_tokenizer_is_refused() -> None:
    with pytest.raises(InputError, match="jieba"):
        ROUGE(tokenizer="jieba")


def test_signature() -> None:
    assert ROUGE().signature == "refs:best|case:lc|tok:script|stem:no|score:f1|version:0.1.2"
    assert "tok:rouge_score|stem:porter" in ROUGE(use_stemmer=True, tokenizer="rouge_score").signature
