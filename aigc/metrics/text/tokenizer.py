"""Cut text of any script into the units that metrics count."""

from collections.abc import Iterable
from functools import lru_cache

import regex

# Full-width letters and digits are how Chinese and Japanese fonts write the same Latin word.
_FULL_WIDTH = {
    code: code - 0xFEE0 for first, last in ("０９", "ＡＺ", "ａｚ") for code in range(ord(first), ord(last) + 1)
}

# Chinese has no spaces: each character is a unit. Other scripts give words, vowel signs and joiners included. Latin
# letters beyond a-z separate words, as they do in rouge_score.
_UNIT = regex.compile(
    r"""
      (?P<latin>[a-z0-9]+)
    | (?P<han>\p{Han})
    | (?P<kana>\p{Hiragana}+ ー* | [\p{Katakana}ー]+)
    | (?P<hangul>\p{Hangul}+)
    | (?P<other>[\p{L}\p{Nd}--[\p{Latin}0-9]--[\p{Common}--\p{Nd}]]
                [\p{L}\p{M}\p{Nd}\u200c\u200d--[\p{Latin}0-9]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]]*)
    """,
    regex.VERBOSE | regex.VERSION1,
)


class ScriptTokenizer:
    """Cut text into units by script; on ASCII text the units are exactly rouge_score's.

    Latin words are lower-cased runs of a-z and 0-9, each Chinese character is a unit of its own, and runs of kana,
    hangul, Cyrillic, Arabic, Devanagari and the other scripts are words. Everything else separates.

    Args:
        use_stemmer: Reduce Latin words of more than three letters to their stem, as rouge_score does.
    """

    def __init__(self, use_stemmer: bool = False) -> None:
        self._use_stemmer = use_stemmer

    def tokenize(self, text: str) -> list[str]:
        """Return the units of `text` in order."""
        units = _UNIT.finditer(_normalize(text))
        if not self._use_stemmer:
            return [match[0] for match in units]
        return [_stem(match[0]) if match.lastgroup == "latin" else match[0] for match in units]


def count_scripts(texts: Iterable[str]) -> dict[str, int]:
    """Count units per script: `han` characters, `kana`, `hangul` and `other` words, `latin` words and numbers."""
    counts = dict.fromkeys(("latin", "han", "kana", "hangul", "other"), 0)
    for text in texts:
        for match in _UNIT.finditer(_normalize(text)):
            counts[match.lastgroup] += 1
    return counts


def _normalize(text: str) -> str:
    return text.translate(_FULL_WIDTH).lower()


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    return str(_stemming_tokenizer().tokenize(word)[0])


@lru_cache(maxsize=1)
def _stemming_tokenizer():  # type: ignore[no-untyped-def]
    from rouge_score.tokenizers import DefaultTokenizer  # it imports nltk: half a second

    return DefaultTokenizer(use_stemmer=True)
