"""Guessing the encoding of text that is not UTF-8; the content of a file is never read by a guess."""

import codecs
import re
from collections.abc import Callable
from functools import cache
from typing import Literal

_MOST = 1 << 13
_SHOWN = 16
_PLAUSIBLE = 0.8
"""Share of the characters beyond ASCII that must be usual ones of a language."""
_SURE = 8
"""Syllables from which text is Korean; fewer could also be Chinese, as their bytes are those of ideographs, too."""
_KANA_SHARE = 0.1
_RUNS = re.compile(rb"[\x80-\xff]+")
_PUNCTUATION = re.compile("[\u2010-\u2026\u3000-\u3020\uff00-\uff65\u00b7]+")
_KANA = re.compile("[\u3041-\u30fc]")
_JAPANESE = re.compile("[\u3005\u3041-\u30fc\u4e00-\u9fff]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_CYRILLIC = re.compile("[Ёа-яёА-Я№«»—]")
_FREQUENT = re.compile("[оеаинтсрвлОЕАИНТСРВЛ]")
_FREQUENT_SHARE = 0.3
"""About half of the share that the ten most frequent letters have in Russian."""
_WRONG_CASE = re.compile("[а-яё][А-ЯЁ]|[A-Za-z][Ёа-яёА-Я]|[Ёа-яёА-Я][A-Za-z]")
_WRONG_WEIGHT = 8
_WORD = re.compile("[а-яё]{3}|[А-ЯЁ]{3}")
_WESTERN = re.compile("[À-ÖØ-öø-ÿŒœ]")
_THAI_WORD = re.compile("(?:[เ-ไ]?[ก-ฮ][\u0e30-\u0e3a\u0e45-\u0e4e]{0,4}|[ฯๆ])+")
_THAI_VOWEL = re.compile("[\u0e30-\u0e3a\u0e40-\u0e4e]")
_LONGER, _THAI = 20, 0.95
"""Below so many characters, Thai counts for less than text all of whose characters are usual in Chinese or Japanese."""
_THAI_VOWELS = (0.2, 0.7)
"""Share of vowels and marks among Thai characters."""
_LONG, _LONG_THAI = 10, 6
"""Characters from which text that keeps all rules of Hebrew, or of Thai, rarely does so by chance."""
_HEBREW_WORD = re.compile("[אבגדהוזחטיכלמנסעפצקרשת]+[םןץףך]?")
_BEYOND = re.compile("[^\x00-\x7f]+")
_FREQUENT_ROWS = {"gb2312": (0xB0, 0xD7), "big5": (0xA4, 0xC6)}
CODECS = {
    "CP874": "cp874",
    "WINDOWS-1255": "cp1255",
    "CP862": "cp862",
    "WINDOWS-1252": "cp1252",
    "WINDOWS-1251": "cp1251",
    "KOI8-R": "koi8_r",
    "CP866": "cp866",
    "EUC-JP": "euc_jp",
    "SHIFT_JIS": "shift_jis",
    "CP932": "cp932",
    "EUC-KR": "euc_kr",
    "CP949": "cp949",
    "GB18030": "gb18030",
    "BIG5": "big5",
    "BIG5-HKSCS": "big5hkscs",
}
"""Python's names of encodings by those that iconv knows; of two that fit alike, the first is named."""


def advice(sample: bytes) -> str:
    """Return how to convert text that is not UTF-8, with its encoding where that can be guessed, and how it reads then.

    Args:
        sample: A part of the text that begins at the beginning of a character.
    """
    name = guess(sample)
    if not name:
        return "Save it as UTF-8: iconv -f ENCODING -t UTF-8 OLD > NEW, with the encoding that it was written in."
    text = _decoded(sample, CODECS[name]) or ""
    first = next((line.strip() for line in text.splitlines() if not line.isascii()), "")
    begin = max(next((at for at, one in enumerate(first) if one > "\x7f"), 0) - _SHOWN // 2, 0)
    shown = first[begin : begin + _SHOWN]
    return f"It may be {name} ({shown!r}); if that reads well, save it as UTF-8: iconv -f {name} -t UTF-8 OLD > NEW."


def guess(sample: bytes) -> str:
    """Return the encoding that text is most likely in, by the name that iconv knows it by; empty if none fits."""
    sample = sample[:_MOST]
    if _is_latin(sample):  # read as characters of two bytes, letters of the alphabet would be halves of them
        western = _decoded(sample, "cp1252")
        return "WINDOWS-1252" if western and _share(western, _WESTERN.match) >= _PLAUSIBLE else ""
    found = {name: _LANGUAGES[codec](text) for name, codec in CODECS.items() if (text := _decoded(sample, codec))}
    best = max(found, key=lambda name: found[name], default="")
    return best if best and found[best] >= _PLAUSIBLE else ""


def _decoded(sample: bytes, encoding: str) -> str | None:
    """Decode a sample that may end within a character; None if it is not in this encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample.rstrip(b"\r\n"))
    except UnicodeDecodeError:
        return None


def _is_latin(sample: bytes) -> bool:
    """Whether the bytes above ASCII stand between letters, as accented ones do: alone, but for a few like `öß`."""
    runs = [len(run) for run in _RUNS.findall(sample)]
    letters = sum(chr(byte).isalpha() for byte in sample if byte < 0x80)
    return bool(runs) and max(runs) <= 2 and 2 * sum(runs) <= 3 * len(runs) and 2 * len(runs) <= letters


def _share(text: str, fits: Callable[[str], object]) -> float:
    """The share of the characters beyond ASCII and punctuation that fit."""
    beyond = [one for one in _PUNCTUATION.sub("", text) if one > "\x7f"]
    return sum(bool(fits(one)) for one in beyond) / len(beyond) if beyond else 0.0


def chinese_share(text: str) -> float:
    """Return the share of the frequent ideographs of Chinese among the characters beyond ASCII."""
    return _share(text, _is_common)


def _is_common(one: str) -> bool:
    return is_frequent(one, "gb2312") or is_frequent(one, "big5")


@cache
def is_frequent(ideograph: str, encoding: Literal["gb2312", "big5"]) -> bool:
    """Return whether an ideograph is in the first half of GB 2312 or Big5, which holds the frequent ones."""
    first, last = _FREQUENT_ROWS[encoding]
    encoded = ideograph.encode(encoding, "ignore")
    return len(encoded) == 2 and first <= encoded[0] <= last and "\u4e00" <= ideograph <= "\u9fff"


def _japanese(text: str) -> float:
    return _share(text, _JAPANESE.match) if _share(text, _KANA.match) >= _KANA_SHARE else 0.0


def _korean(text: str) -> float:
    if _share(text, _is_common_syllable) < _PLAUSIBLE * _share(text, _HANGUL.match):  # halves of other characters
        return 0.0
    share = _share(text, _HANGUL.match)
    return share if len(_HANGUL.findall(text)) >= _SURE else _PLAUSIBLE * share


def _is_common_syllable(one: str) -> bool:
    return bool(_HANGUL.match(one)) and len(one.encode("euc_kr", "ignore")) == 2


def _russian(text: str) -> float:
    """Read in another encoding, words have capitals after small letters, Latin letters, or rare characters."""
    if _share(text, _FREQUENT.match) < _FREQUENT_SHARE or not _WORD.search(text):
        return 0.0
    return _share(text, _CYRILLIC.match) - _WRONG_WEIGHT * len(_WRONG_CASE.findall(text)) / len(text)


def _thai(text: str) -> float:
    """Vowels and marks stand at the places that the script has for them, and are neither few nor most."""
    beyond = "".join(_BEYOND.findall(text))
    least, most = _THAI_VOWELS
    usual = len(beyond) >= _LONG_THAI and least <= len(_THAI_VOWEL.findall(beyond)) / len(beyond) <= most
    fits = usual and all(map(_THAI_WORD.fullmatch, _BEYOND.findall(text)))
    return (1.0 if len(beyond) >= _LONGER else _THAI) if fits else 0.0


def _hebrew(text: str) -> float:
    """Letters that have another form at the end of a word have it only there."""
    words = _BEYOND.findall(_PUNCTUATION.sub(" ", text))
    return float(sum(map(len, words)) >= _LONG and all(map(_HEBREW_WORD.fullmatch, words)))


def _none(text: str) -> float:
    return 0.0


_LANGUAGES: dict[str, Callable[[str], float]] = {
    "cp874": _thai,
    "cp1255": _hebrew,
    "cp862": _hebrew,
    "cp1252": _none,  # by its bytes
    "cp1251": _russian,
    "koi8_r": _russian,
    "cp866": _russian,
    "euc_jp": _japanese,
    "shift_jis": _japanese,
    "cp932": _japanese,
    "euc_kr": _korean,
    "cp949": _korean,
    "gb18030": chinese_share,
    "big5": chinese_share,
    "big5hkscs": chinese_share,
}
