"""Cut text of any script into the tokens that metrics count."""

import re
import warnings
from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal, get_args

import regex

from aigc.config.problems import choices
from aigc.errors import InputError

Tokenize = Callable[[str], Iterable[Hashable]]
Name = Literal["auto", "rouge_score", "zh-char", "jieba"]
NAMES = get_args(Name)

_LATIN = re.compile(r"[a-z0-9]+")
# Full-width letters and digits are how Chinese and Japanese fonts write the same Latin word.
_FULL_WIDTH = re.compile(r"[０-９Ａ-Ｚａ-ｚ]+")
_HALF_WIDTH = {
    code: code - 0xFEE0 for first, last in ("０９", "ＡＺ", "ａｚ") for code in range(ord(first), ord(last) + 1)
}

_KANA = r"[\p{Hiragana}\p{Katakana}ーｰ]"
_CLUSTERED = r"[[\p{Line_Break=Complex_Context}\p{Javanese}\p{Balinese}\p{Bopomofo}\p{Yi}]&&[\p{L}\p{M}]]"
# Letters and digits of the scripts that write words: a sign that many scripts share does not begin one.
_WORD = rf"""
    [\p{{L}}\p{{Nd}}--[\p{{Latin}}0-9\p{{Han}}]--{_KANA}--{_CLUSTERED}--[\p{{Common}}--\p{{Nd}}]]
    [\p{{L}}\p{{M}}\p{{Nd}}\u200c\u200d--[\p{{Latin}}0-9\p{{Han}}]--{_KANA}--{_CLUSTERED}]*
"""
_OTHERS = rf"\p{{Han}}+ | {_KANA}[\p{{M}}ﾞﾟ]* | (?={_CLUSTERED})\X | {_WORD}"
_TOKEN = regex.compile(rf"[a-z0-9]+ | {_OTHERS}", regex.VERBOSE | regex.VERSION1)
_TOKEN_WITH_ACCENTS = regex.compile(
    rf"[\p{{Latin}}0-9][\p{{Latin}}\p{{M}}0-9]* | {_OTHERS}", regex.VERBOSE | regex.VERSION1
)
_HAN = regex.compile(r"\p{Han}")


class ScriptTokenizer:
    """Cut text into tokens by script; on ASCII text the tokens are exactly rouge_score's.

    A Latin word is a lower-cased run of a-z and 0-9, full-width ones included. A Chinese character is a token of its
    own, and so is a kana; Thai, Lao, Khmer, Burmese and others that write no spaces either are cut into what a reader
    takes for characters (grapheme clusters, Unicode Standard Annex 29). Hangul, Cyrillic, Arabic, Devanagari and the
    other scripts give words, vowel signs and joiners included. All the rest separates.

    Args:
        use_stemmer: Reduce Latin words of more than three letters to their stem, as rouge_score does.
        accents: Latin letters beyond a-z are letters of a word; otherwise they separate, as they do in rouge_score.
    """

    def __init__(self, use_stemmer: bool = False, accents: bool = False) -> None:
        self._use_stemmer = use_stemmer
        self._token = _TOKEN_WITH_ACCENTS if accents else _TOKEN

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of `text` in order."""
        text = text.lower()
        if text.isascii():
            tokens = _LATIN.findall(text)
        else:
            if _FULL_WIDTH.search(text):
                text = text.translate(_HALF_WIDTH)
            tokens = self._cut(text)
        return stem_words(tokens) if self._use_stemmer else tokens

    def _cut(self, text: str) -> list[str]:
        tokens: list[str] = []
        for token in self._token.findall(text):
            if len(token) > 1 and _HAN.match(token):
                tokens += self._cut_han(token)
            else:
                tokens.append(token)
        return tokens

    def _cut_han(self, text: str) -> Iterable[str]:
        return text


class SegmentingTokenizer(ScriptTokenizer):
    """Cut runs of Chinese characters into words, as jieba with its own dictionary does, and the rest by script."""

    def _cut_han(self, text: str) -> Iterable[str]:
        words: list[str] = _segmenter().lcut(text)
        return words


def cut_latin(text: str) -> list[str]:
    """rouge_score's tokens: lower-cased runs of a-z and 0-9, of whatever text."""
    return _LATIN.findall(text.lower())


def cut_and_stem_latin(text: str) -> list[str]:
    """rouge_score's tokens with its stemmer."""
    return stem_words(cut_latin(text))


def cut_characters(text: str) -> list[str]:
    """All characters but white space, lower-cased, each a token."""
    return list("".join(text.lower().split()))


def choose_tokenizer(who: str, tokenizer: str | Tokenize, use_stemmer: bool) -> tuple[Tokenize, str]:
    """The function that cuts texts, and its name for a signature.

    Args:
        who: The metric, for messages.
        tokenizer: One of `NAMES`, or a function from a text to its tokens.
        use_stemmer: Whether Latin words are reduced to their stem.

    Raises:
        InputError: The tokeniser is unknown, what it needs is not installed, or it gives no words to reduce.
    """
    if callable(tokenizer):
        if use_stemmer:
            raise InputError(f"{who}: use_stemmer has no effect on a function as tokenizer: let it stem by itself.")
        return tokenizer, getattr(tokenizer, "__name__", type(tokenizer).__name__)
    if tokenizer not in NAMES:
        raise InputError(f"{who}: tokenizer is {tokenizer!r}. {choices(tokenizer, (*NAMES, 'a function'))}")
    if tokenizer == "zh-char":
        if use_stemmer:
            raise InputError(f"{who}: use_stemmer has no effect with tokenizer=zh-char, which gives no words.")
        return cut_characters, tokenizer
    if tokenizer == "rouge_score":
        return cut_and_stem_latin if use_stemmer else cut_latin, tokenizer
    if tokenizer == "auto":
        return ScriptTokenizer(use_stemmer).tokenize, tokenizer
    if not find_spec("jieba"):
        raise InputError(f"{who}: tokenizer=jieba needs a package that is missing: pip install jieba.")
    return SegmentingTokenizer(use_stemmer).tokenize, f"jieba-{version('jieba')}"


def stem_words(tokens: list[str]) -> list[str]:
    """Reduce the Latin words of more than three letters among some tokens to their stem, as rouge_score does."""
    return [_stem(token) if len(token) > 3 and token.isascii() else token for token in tokens]


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    return str(_stemmer().stem(word))


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer  # a quarter of a second

    return PorterStemmer()


@lru_cache(maxsize=1)
def _segmenter() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its source has escape sequences that newer Pythons frown on
        import jieba
    # Its own way to start talks on stderr and trusts a file in the folder for temporary files, where anybody may write.
    # A tokeniser of our own also keeps out the words that a program may have added to jieba's.
    segmenter = jieba.Tokenizer()
    segmenter.FREQ, segmenter.total = segmenter.gen_pfdict(segmenter.get_dict_file())
    segmenter.initialized = True
    return segmenter
