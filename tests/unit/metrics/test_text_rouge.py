"""ROUGE against rouge_score: each pair's F-measure, precision and recall, for every tokeniser."""

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

import aigc
from aigc.errors import InputError
from aigc.metrics.text import ROUGE
from aigc.metrics.text.rouge import TYPES, ROUGEScorer
from aigc.metrics.text.sentences import split_sentences
from aigc.metrics.text.tokenizer import choose_tokenizer
from tests.unit.metrics.text_samples import LONG, LONG_CHINESE, POEMS, REAL, Pairs, corpora, split
from tests.waiting import PATIENCE

SOME = ("rouge1", "rouge2", "rouge3", "rougeL", "rougeLsum")
words = st.lists(
    st.sampled_from(["The", "cat,", "sat!", "running", "runners.", "GPT-2", "isn't", "3.14", "\n", "MAT"]), max_size=14
).map(" ".join)
english = corpora(st.one_of(words, st.text(alphabet=st.characters(max_codepoint=127), max_size=20)))
END = f"score:f1|version:aigc-{aigc.__version__}"
CHINESE = "生成对抗网络由生成器和判别器组成。"
SAME = {
    "English": "The cat sat on the mat.",
    "Chinese": CHINESE,
    "mixed": "我们用PyTorch训练GPT-2模型。",
    "full-width": "ＡＢＣ　１２３",
    "Japanese": "私はコンピュータです",
    "half-width": "ｺﾝﾋﾟｭｰﾀ",
    "Korean": "나는 매일 컴퓨터를 사용합니다.",
    "Russian": "Кошка сидела на ковре.",
    "Greek": "η γάτα κάθεται",
    "Arabic": "القطة على السجادة",
    "Hebrew": "החתול ישב על השטיח",
    "Hindi": "बिल्ली चटाई पर बैठी है",
    "Tamil": "பூனை பாயில் அமர்ந்தது",
    "Thai": "แมวนั่งบนเสื่อ",
    "Lao": "ແມວນັ່ງເທິງເສື່ອ",
    "Khmer": "ឆ្មាអង្គុយលើកន្ទេល",
    "Burmese": "ကြောင်ဖျာပေါ်မှာထိုင်",
    "Tibetan": "ཞི་མི་གདན་སྟེང་ལ་བསྡད།",
    "Georgian": "კატა ხალიჩაზე იჯდა",
    "Amharic": "ድመቷ ምንጣፉ ላይ ተቀመጠች",
}


class Tokenizer:
    """One of our tokenisers as rouge_score takes them."""

    def __init__(self, name: str, use_stemmer: bool = False):
        self.tokenize, _ = choose_tokenizer("ROUGE", name, use_stemmer)


def expected(pair: tuple[str, list[str]], types: Sequence[str], scorer: RougeScorer, sentences: bool) -> Any:
    """For each type F-measure, precision and recall by rouge_score, of the best reference."""
    prediction, references = pair
    if sentences:  # rouge_score takes lines for sentences
        prediction, *references = ("\n".join(split_sentences(text)) for text in (prediction, *references))
    rows = [scorer.score(reference, prediction) for reference in references]
    return {name: max((row[name].fmeasure, row[name].precision, row[name].recall) for row in rows) for name in types}


def check(pairs: Pairs, library: Any = None, sentences: bool = True, types: Sequence[str] = SOME, **ours: Any) -> None:
    """Each pair and the whole corpus are as rouge_score has them, with its own tokeniser or one that is given to it."""
    scorer = ROUGEScorer(types, **ours)
    theirs = RougeScorer([*types], use_stemmer=ours.get("use_stemmer", False), tokenizer=library)
    rows = scorer.statistics(*split(pairs))
    scores = [expected(pair, types, theirs, sentences) for pair in pairs]
    for row, one in zip(rows, scores, strict=True):
        details = scorer.details_of(row)
        for name in types:
            found = [details[key] / 100 for key in (name, f"{name}_precision", f"{name}_recall")]
            assert found == pytest.approx(one[name], abs=1e-12)
    means = {name: 100 * sum(one[name][0] for one in scores) / len(pairs) for name in types}
    assert scorer.scores_of(rows.sum(axis=0)) == pytest.approx(means, abs=1e-10)


def score(
    prediction: str, references: str | list[str], types: Sequence[str] = SOME, **options: Any
) -> dict[str, float]:
    return ROUGEScorer(types, **options).measure([prediction], [references]).scores


@given(corpora(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_rouge_score_is_rouge_score_on_any_text(pairs: Pairs, use_stemmer: bool) -> None:
    check(pairs, sentences=False, tokenizer="rouge_score", use_stemmer=use_stemmer)


@given(english, st.booleans())
@settings(max_examples=40, deadline=None)
def test_auto_is_rouge_score_on_ascii_text(pairs: Pairs, use_stemmer: bool) -> None:
    check(pairs, use_stemmer=use_stemmer)
    check(pairs, use_stemmer=use_stemmer, sentences=False, split_summaries=False)


@pytest.mark.parametrize("tokenizer", ["auto", "zh-char", "jieba"])
@given(pairs=corpora())
@settings(max_examples=25, deadline=None)
def test_equals_rouge_score_that_is_given_the_tokeniser(tokenizer: str, pairs: Pairs) -> None:
    check(pairs, Tokenizer(tokenizer), tokenizer=tokenizer)


@pytest.mark.slow
def test_equals_rouge_score_on_long_and_real_text() -> None:
    pairs = [(text, [REAL[place - 1], REAL[place - 2], REAL[place - 7]]) for place, text in enumerate(REAL)]
    pairs += [(LONG[0], [LONG[1]]), (LONG_CHINESE[0], [LONG_CHINESE[1]])]
    check(pairs, Tokenizer("auto"), types=TYPES)
    check(pairs[:-1], Tokenizer("jieba", use_stemmer=True), tokenizer="jieba", use_stemmer=True)
    check(pairs[:-1], sentences=False, tokenizer="rouge_score", types=TYPES)


def test_many_references() -> None:
    several = [POEMS[place] + POEMS[place + 1] for place in range(30)]
    check([(POEMS[3] + POEMS[20], several), (POEMS[0], several[:1]), ("a", ["", "b"])], Tokenizer("auto"))


@given(corpora(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_references_does_not_count(pairs: Pairs, random: Any) -> None:
    shuffled = [(prediction, random.sample(references, len(references))) for prediction, references in pairs]
    scorer = ROUGEScorer(SOME)
    assert np.array_equal(scorer.statistics(*split(shuffled)), scorer.statistics(*split(pairs)))


def test_of_references_that_are_as_good_one_is_taken_whatever_their_order() -> None:
    prediction, references = "a b c d", ["a x", "a b s t u v w y"]
    tied = RougeScorer(["rouge1"])
    precisions = {tied.score_multi(order, prediction)["rouge1"].precision for order in (references, references[::-1])}
    assert precisions == {0.25, 0.5}, "the control: rouge_score takes the first"
    for order in (references, references[::-1]):
        details = ROUGEScorer(["rouge1"]).measure([prediction], [order]).details
        assert details == pytest.approx({"rouge1": 100 / 3, "rouge1_precision": 50, "rouge1_recall": 25})


def test_each_type_takes_its_own_best_reference() -> None:
    references = ["a b x x x", "b a c y y"]
    single = [score("a b c", reference) for reference in references]
    assert single[0]["rouge2"] > single[1]["rouge2"]
    assert single[0]["rouge1"] < single[1]["rouge1"]
    assert score("a b c", references) == {name: max(row[name] for row in single) for name in SOME}


@pytest.mark.parametrize("script", SAME)
def test_identical_text_scores_100_in_every_script(script: str) -> None:
    types = ("rouge1", "rouge2", "rougeL", "rougeLsum")
    assert score(SAME[script], SAME[script], types) == dict.fromkeys(types, 100.0)
    if script not in ("English", "mixed"):
        assert not any(score(SAME[script], SAME[script], types, tokenizer="rouge_score").values()), "the control"


def test_unrelated_chinese_text_that_shares_latin_words_scores_low() -> None:
    pair = ("我们用PyTorch训练GPT-2模型，学习率为3e-4。", "完全不同的内容 PyTorch GPT-2 3e-4")
    assert score(*pair, tokenizer="rouge_score")["rouge1"] == 100, "the control: rouge_score alone gives 100"
    assert score(*pair, ("rouge1", "rouge2", "rougeL")) == pytest.approx(
        {"rouge1": 35.714286, "rouge2": 15.384615, "rougeL": 35.714286}, abs=1e-6
    )
    assert score(*pair, ("rouge1",), tokenizer="jieba")["rouge1"] == pytest.approx(50)


def test_sentences_are_cut_by_default_and_lines_for_rouge_score() -> None:
    pair = ("Dogs run. Cats sit.", "Cats sit. Dogs run.")
    types = ("rougeL", "rougeLsum")
    whole, by_sentence = {"rougeL": 50.0, "rougeLsum": 50.0}, {"rougeL": 50.0, "rougeLsum": 100.0}
    assert score(*pair, types) == score(*pair, types, tokenizer="rouge_score", split_summaries=True) == by_sentence
    assert score(*pair, types, tokenizer="rouge_score") == score(*pair, types, split_summaries=False) == whole
    assert score("狗跑。猫坐！", "猫坐！狗跑。", types) == by_sentence
    assert score("狗跑。\n猫坐！", "猫坐！\n狗跑。", types, split_summaries=False) == by_sentence


def test_a_function_cuts() -> None:
    def by_comma(text: str) -> list[str]:
        return text.split(",")

    measured = ROUGEScorer(["rouge1"], tokenizer=by_comma).measure(["a b,c"], ["c,A b"])
    assert measured.scores == {"rouge1": 50.0}
    assert measured.signature == f"nrefs:1|refs:best|tok:by_comma|stem:no|{END}"
    by_generator = ROUGEScorer(["rouge2"], tokenizer=lambda text: (word for word in text.split(",")))
    assert by_generator.measure(["a b,c"], ["a b,c"]).scores == {"rouge2": 100.0}


@pytest.mark.parametrize(("tokenizer", "kind"), [(str.lower, "str"), (lambda _: None, "NoneType")])
def test_a_function_that_gives_no_list_is_refused(tokenizer: Callable[[str], Any], kind: str) -> None:
    with pytest.raises(TypeError, match=f"must return a list of tokens, got a {kind}"):
        ROUGEScorer(tokenizer=tokenizer).measure(["a"], ["a"])


@given(corpora(), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_several_updates_are_one(pairs: Pairs, cut: int) -> None:
    metric = ROUGE(SOME, use_stemmer=True)
    for part in (pairs[:cut], pairs[cut:]):
        metric = pickle.loads(pickle.dumps(copy.deepcopy(metric)))
        metric.update(*split(part))
    measured = ROUGEScorer(SOME, use_stemmer=True).measure(*split(pairs))
    assert {name: float(value) for name, value in metric.compute().items()} == measured.scores
    assert metric.details() == measured.details
    assert metric.signature == measured.signature


@pytest.mark.parametrize(
    ("types", "told"),
    [
        (("rouge0",), "Did you mean rouge"),
        (("rouge1", "rougel"), "Did you mean rougeL"),
        (("rouge10",), "a list of types is expected. Did you mean .* Allowed: rouge1, rouge2, .*, rougeL, rougeLsum"),
        ((), r"\(\), a list of types is expected"),
        ("rouge1", "a list of types is expected"),
        ((1,), "a list of types is expected"),
    ],
)
def test_wrong_types_are_refused(types: Any, told: str) -> None:
    with pytest.raises(InputError, match=f"rouge_types is .*{told}"):
        ROUGEScorer(types)


def test_a_wrong_tokeniser_is_refused() -> None:
    with pytest.raises(InputError, match=r"ROUGE: tokenizer is 'zh_char'\. Did you mean zh-char\? Allowed: auto"):
        ROUGE(tokenizer="zh_char")


def test_nothing_is_no_score() -> None:
    with pytest.raises(ValueError, match="ROUGE has no text to measure"):
        ROUGEScorer().measure([], [])


def test_a_type_counts_once() -> None:
    assert score("a b", "a c", ("rougeL", "rouge1", "rougeL")) == {"rougeL": 50.0, "rouge1": 50.0}


@pytest.mark.parametrize(
    ("options", "cut"),
    [
        ({}, "case:lc|tok:auto|stem:no"),
        ({"use_stemmer": True, "tokenizer": "rouge_score"}, "case:lc|tok:rouge_score|stem:porter"),
        ({"tokenizer": "jieba"}, f"case:lc|tok:jieba-{version('jieba')}|stem:no"),
        ({"rouge_types": ["rougeLsum"]}, "case:lc|tok:auto|stem:no|split:sentence"),
        ({"rouge_types": ["rougeLsum"], "tokenizer": "rouge_score"}, "case:lc|tok:rouge_score|stem:no|split:line"),
    ],
)
def test_signature(options: dict[str, Any], cut: str) -> None:
    metric = ROUGE(**options)
    assert metric.signature == f"refs:best|{cut}|{END}"
    metric.update(["a", "b"], [["a", "b"], ["c", "d"]])
    assert metric.signature == f"nrefs:2|refs:best|{cut}|{END}"
    metric.update(["a"], ["b"])
    assert metric.signature.startswith("nrefs:var|refs:best|")


@pytest.mark.slow
def test_only_what_is_asked_for_is_imported() -> None:
    script = """
import json, sys
from aigc.metrics.text.rouge import ROUGEScorer
found = []
for options in ({"rouge_types": ["rougeLsum"]}, {"use_stemmer": True}, {"tokenizer": "jieba"}):
    ROUGEScorer(**options).measure(["模型running. a"], ["模型 running"])
    found.append(sorted({"nltk", "jieba", "rouge_score", "torch"} & set(sys.modules)))
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert json.loads(done.stdout) == [[], ["nltk"], ["jieba", "nltk"]]
    assert done.stderr == ""
