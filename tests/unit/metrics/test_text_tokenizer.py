"""How texts are cut: into tokens by each tokeniser, and into sentences."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.tokenizers import DefaultTokenizer

from aigc.errors import InputError
from aigc.metrics.text.sentences import split_lines, split_sentences
from aigc.metrics.text.tokenizer import ScriptTokenizer, choose_tokenizer
from tests.unit.metrics.text_samples import texts
from tests.waiting import PATIENCE, takes_at_most

OTHERS = regex.compile(
    r"[\p{L}&&[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Cyrillic}\p{Greek}\p{Hebrew}\p{Arabic}\p{Devanagari}\p{Thai}]]",
    regex.VERSION1,
)
ascii_texts = st.text(alphabet=st.characters(max_codepoint=127))
words = st.text(alphabet="abcdefghijklmnopqrstuvwxyzE", min_size=1, max_size=12)
endings = st.sampled_from(["", "s", "ing", "ational", "ization", "fulness", "ies", "eed", "ably", "sses", "yed"])
english = st.lists(st.tuples(words, endings).map("".join), max_size=6).map(" ".join)


def tokenize(text: str, tokenizer: str = "auto", use_stemmer: bool = False) -> list[object]:
    return list(choose_tokenizer("ROUGE", tokenizer, use_stemmer)[0](text))


@given(st.one_of(ascii_texts, english), st.booleans())
@settings(max_examples=100, deadline=None)
def test_tokens_of_ascii_text_are_those_of_rouge_score(text: str, use_stemmer: bool) -> None:
    expected = DefaultTokenizer(use_stemmer).tokenize(text)
    for tokenizer in ("auto", "rouge_score", "jieba"):
        assert tokenize(text, tokenizer, use_stemmer) == expected


@given(texts, st.booleans())
@settings(max_examples=60, deadline=None)
def test_rouge_score_cuts_any_text_as_the_library(text: str, use_stemmer: bool) -> None:
    assert tokenize(text, "rouge_score", use_stemmer) == DefaultTokenizer(use_stemmer).tokenize(text)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("我们用PyTorch，3e-4", ["我", "们", "用", "pytorch", "3e", "4"]),
        ("２０２６年ＧＰＴ-４", ["2026", "年", "gpt", "4"]),
        ("𠀀々〇", ["𠀀", "々", "〇"]),
        ("葛\U000e0100飾", ["葛", "飾"]),
        ("私はデータ", ["私", "は", "デ", "ー", "タ"]),
        ("ﾃﾞｰﾀ", ["ﾃﾞ", "ｰ", "ﾀ"]),
        ("か\u3099", ["か\u3099"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("Привет, МИР!", ["привет", "мир"]),
        ("ΟΔΟΣ", ["οδος"]),
        ("مَرْحَبًا بالعالم ١٢", ["مَرْحَبًا", "بالعالم", "١٢"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("שָׁלוֹם עולם", ["שָׁלוֹם", "עולם"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("นำไป", ["นำ", "ไ", "ป"]),
        ("ດີ ນີ້", ["ດີ", "ນີ້"]),
        ("ភាសា", ["ភា", "សា"]),
        ("ㄅㄆ", ["ㄅ", "ㄆ"]),
        ("café", ["caf"]),
        ("😀，。！ʰ", []),
        ("\ud800a", ["a"]),
    ],
)
def test_tokens_of_scripts(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokenize(text, use_stemmer=True) == tokens


@given(texts)
@settings(max_examples=60, deadline=None)
def test_no_letter_of_other_scripts_is_lost(text: str) -> None:
    assert OTHERS.findall("".join(ScriptTokenizer().tokenize(text))) == OTHERS.findall(text.lower())


def test_english_words_in_other_text_are_stemmed() -> None:
    assert tokenize("他在running，ｃａｔｓ", use_stemmer=True) == ["他", "在", "run", "cat"]


def test_what_chooses_a_tokeniser_by_name_can_be_pickled() -> None:
    for name in ("auto", "rouge_score", "zh-char", "jieba"):
        function, _ = choose_tokenizer("ROUGE", name, False)
        assert pickle.loads(pickle.dumps(function))("我们 running") == function("我们 running")


@given(texts)
@settings(max_examples=60, deadline=None)
def test_characters_are_all_but_white_space(text: str) -> None:
    assert tokenize(text, "zh-char") == [letter for letter in text.lower() if not letter.isspace()]


def test_jieba_cuts_chinese_into_words() -> None:
    text = "我们用PyTorch训练语言模型，３次runs。長"
    assert tokenize(text, "jieba") == ["我们", "用", "pytorch", "训练", "语言", "模型", "3", "次", "runs", "長"]
    assert tokenize(text, "jieba", use_stemmer=True)[-2] == "run"


@given(texts)
@settings(max_examples=40, deadline=None)
def test_jieba_only_joins_chinese_characters(text: str) -> None:
    assert "".join(map(str, tokenize(text, "jieba"))) == "".join(map(str, tokenize(text)))


@pytest.mark.slow
def test_jieba_is_quiet_and_leaves_no_file_and_knows_no_words_of_others(tmp_path: Path) -> None:
    script = """
import os, sys, tempfile
from aigc.metrics.text.tokenizer import SegmentingTokenizer
cut = SegmentingTokenizer().tokenize
print(cut("我们训练语言模型"), os.listdir(tempfile.gettempdir()), flush=True)
print("until here nothing was said", file=sys.stderr, flush=True)
import jieba
jieba.add_word("练语言模", freq=10**9)
print(jieba.lcut("我们训练语言模型"), os.listdir(tempfile.gettempdir()))
print(cut("我们训练语言模型"))
"""
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=env, check=True, timeout=PATIENCE
    )
    quiet, talking = done.stderr.split("until here nothing was said\n")
    assert quiet == ""
    assert "prefix dict" in talking, "the control: jieba's own way talks"
    assert done.stdout.splitlines() == [
        "['我们', '训练', '语言', '模型'] []",
        "['我们', '训', '练语言模', '型'] ['jieba.cache']",  # the control: its own way remembers
        "['我们', '训练', '语言', '模型']",
    ]


def test_a_missing_jieba_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(InputError, match=r"tokenizer=jieba .* pip install jieba"):
        choose_tokenizer("ROUGE", "jieba", False)


@pytest.mark.parametrize(
    ("tokenizer", "use_stemmer", "told"),
    [
        ("rouge-score", False, "Did you mean rouge_score.*auto, rouge_score, zh-char, jieba, a function"),
        ("spacy", False, "Allowed: auto, rouge_score, zh-char, jieba"),
        (None, False, "tokenizer is None"),
        ("zh-char", True, "use_stemmer has no effect with tokenizer=zh-char"),
        (str.split, True, "use_stemmer has no effect on a function"),
    ],
)
def test_what_is_wrong_is_refused(tokenizer: str | Callable[[str], list[str]], use_stemmer: bool, told: str) -> None:
    with pytest.raises(InputError, match=told):
        choose_tokenizer("ROUGE", tokenizer, use_stemmer)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("他说：“你好！”然后走了。真的？！对", ["他说：“你好！”", "然后走了。", "真的？！", "对"]),
        ("（好。）走", ["（好。）", "走"]),
        ("真的?是的!走了.", ["真的?", "是的!", "走了."]),
        ("“ok.”然后", ["“ok.”", "然后"]),
        ("圆周率是3.14，见1.引言和GPT-4.5。", ["圆周率是3.14，见1.引言和GPT-4.5。"]),
        ('He said "no." Then (yes.) left... Why?! ', ['He said "no."', "Then (yes.)", "left...", "Why?!"]),
        ("3.14 at a.b.com, Yahoo!'s and (etc.), e.g.this", ["3.14 at a.b.com, Yahoo!'s and (etc.), e.g.this"]),
        ("one\ntwo.\r\n\n three", ["one", "two.", "three"]),
        ("......x", ["......x"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_lines_are_cut_at_line_feeds_alone() -> None:
    assert split_lines("a. b\n\n 。c\u2028d\r\n") == ["a. b", " 。c\u2028d\r"]


@given(texts)
@settings(max_examples=60, deadline=None)
def test_sentences_have_the_tokens_of_the_text(text: str) -> None:
    for name in ("auto", "rouge_score", "zh-char"):
        assert [token for part in split_sentences(text) for token in tokenize(part, name)] == tokenize(text, name)


@pytest.mark.parametrize("text", ["." * 50_000 + "x", "a." + '"' * 50_000 + "x", "中" + "!" * 50_000 + "x"])
def test_long_runs_of_marks_take_no_time(text: str) -> None:
    with takes_at_most(2):
        assert split_sentences(text) == [text]
