"""Guessing the encoding of text that is not UTF-8, for messages."""

import codecs
import re
from collections.abc import Callable

_RUNS = re.compile(rb"[\x80-\xff]+")
_MOST = 1 << 16
_PAIRS = re.compile(rb"[\x80-\xff].", re.DOTALL)
_CHINESE = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_KANA = re.compile("[\u3040-\u30ff]")


def advice(sample: bytes) -> str:
    """Return how to convert text that is not UTF-8, with its encoding where that can be guessed.

    Args:
        sample: A part of the text that begins at the beginning of a character.
    """
    name = guess(sample)
    if name:
        return f"It may be {name}; save it as UTF-8: iconv -f {name} -t UTF-8 OLD > NEW."
    return "Save it as UTF-8: iconv -f ENCODING -t UTF-8 OLD > NEW, with the encoding that it was written in."


def guess(sample: bytes) -> str:
    """Return the encoding that text is most likely in, by the name that iconv knows it by; empty if none fits."""
    sample = sample[:_MOST]
    return next((name for name, fits in _GUESSES if fits(sample)), "")


def _decoded(sample: bytes, encoding: str) -> str | None:
    """Decode a sample that may end within a character; None if it is not in this encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample.rstrip(b"\r\n"))
    except UnicodeDecodeError:
        return None


def _is_western(sample: bytes) -> bool:
    """Whether the bytes above ASCII stand alone between letters, as accented ones do."""
    runs = _RUNS.findall(sample)
    letters = sum(chr(byte).isalpha() for byte in sample if byte < 0x80)
    return bool(runs) and all(len(run) == 1 for run in runs) and 2 * len(runs) <= letters


def _is_big5(sample: bytes) -> bool:
    """Whether all characters are ideographs and punctuation of Big5, of which a third ends in an ASCII byte."""
    text = _decoded(sample, "big5")
    ends = [pair[1] < 0x80 for pair in _PAIRS.findall(sample)]
    return text is not None and all(_CHINESE.match(one) for one in text if one > "\x7f") and 8 * sum(ends) >= len(ends)


def _is_shift_jis(sample: bytes) -> bool:
    """Whether a fifth of the characters beyond ASCII is kana."""
    text = _decoded(sample, "shift_jis")
    beyond = [one for one in text or "" if one > "\x7f"]
    return bool(beyond) and 5 * sum(bool(_KANA.match(one)) for one in beyond) >= len(beyond)


def _fits(encoding: str) -> Callable[[bytes], bool]:
    return lambda sample: _decoded(sample, encoding) is not None


_GUESSES: list[tuple[str, Callable[[bytes], bool]]] = [
    ("WINDOWS-1252", _is_western),
    ("GB18030", _fits("gb2312")),
    ("BIG5", _is_big5),
    ("SHIFT_JIS", _is_shift_jis),
    ("GB18030", _fits("gb18030")),
]
"""From the strictest encoding to the one that takes most bytes."""
