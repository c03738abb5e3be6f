"""Choice of sacrebleu's tokeniser by the script of a text."""

import re
from collections.abc import Mapping, Sequence

import regex
from sacrebleu.tokenizers.tokenizer_zh import _UCODE_RANGES

NAMES = ("13a", "zh", "char")
FITS = (("13a",), ("13a", "zh"), ("zh",), ("zh", "char"), ("char",))
"""The tokenisers that fit a line: the one that is used, and one that cuts this line in the same way."""
MIXED = 10
"""A corpus mixes scripts when more than one line in so many is of another script than most."""

# Of the characters beyond the basic plane, and some within, `zh` knows nothing: it would take a line of them for one
# word. Two of its ranges, meant for those, are of two characters each; these characters are not Chinese.
_KNOWN = "".join(f"{first}-{last}" for first, last in _UCODE_RANGES if len(first) == len(last) == 1)
_CHINESE = regex.compile(rf"[[\p{{Han}}\p{{Bopomofo}}]&&[{_KNOWN}]]", regex.VERSION1)
_ONLY_KNOWN = regex.compile(rf"[{_KNOWN}\s]*", regex.VERSION1)
_UNSPACED = regex.compile(
    r"[\p{Hiragana}\p{Katakana}ー\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Yi}\p{Javanese}"
    r"\p{Balinese}\p{Cham}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Tangut}\p{Nushu}"
    rf"[[\p{{Han}}\p{{Bopomofo}}]--[{_KNOWN}]]]",
    regex.VERSION1,
)
_LETTER = regex.compile(r"\p{L}")
_ENTITY = re.compile(r"&(?:quot|amp|lt|gt);")


def fit(references: Sequence[str], prediction: str = "") -> tuple[str, ...]:
    """Return the one of `FITS` for a line, by the script of its references; by all texts where two cut it alike."""
    text = "".join(references)
    if text.isascii():
        return ("13a", "zh") if all(map(_cut_alike, (prediction, *references))) else ("13a",)
    if _ONLY_KNOWN.fullmatch(text) and _CHINESE.search(text):
        return ("zh", "char") if _ONLY_KNOWN.fullmatch(prediction) else ("zh",)
    return (_choose(text),)


def _cut_alike(text: str) -> bool:
    """Whether `13a`, which pads a text with spaces and reads entities of XML, and `zh` cut it alike."""
    if not text.isascii() or "\n" in text or "<skipped>" in text or ("&" in text and _ENTITY.search(text)):
        return False
    text = text.strip()
    return not text.startswith((".", ",")) and not (text.endswith((".", ",")) and text[-2:-1].isdigit())


def agreed(lines: Mapping[tuple[str, ...], int]) -> str:
    """Return a tokeniser that cuts each line of a corpus as its own does; empty where there is none.

    Args:
        lines: How many lines there are of each of `FITS`.
    """
    used = [set(names) for names, number in lines.items() if number]
    common = set.intersection(*used) if used else set()
    return next((name for name in NAMES if name in common), "")


def by_tokenizer(lines: Mapping[tuple[str, ...], int]) -> dict[str, int]:
    """Return the number of lines per tokeniser; the argument is that of `agreed`."""
    return {
        name: number for name in NAMES if (number := sum(count for names, count in lines.items() if names[0] == name))
    }


def mixture(lines: Mapping[tuple[str, ...], int]) -> str:
    """How many lines of a corpus are for which tokeniser, in words, where it mixes scripts (see `MIXED`).

    English among Chinese is a mixture also where `zh` cuts both; Chinese characters among Japanese are none.

    Args:
        lines: How many lines there are of each of `FITS`.

    Returns:
        Empty where it does not mix them.
    """
    total = sum(lines.values())
    most = sum(count for names, count in lines.items() if majority(lines) in _scripts(names))
    if MIXED * (total - most) <= total:
        return ""
    return ", ".join(f"{number} for {name}" for name, number in by_tokenizer(lines).items())


def majority(lines: Mapping[tuple[str, ...], int]) -> str:
    """Return the tokeniser that fits most lines, `13a` where there are none; the argument is that of `agreed`."""
    return max(NAMES, key=lambda name: sum(count for names, count in lines.items() if name in _scripts(names)))


def _scripts(names: tuple[str, ...]) -> tuple[str, ...]:
    """Keep English apart from Chinese, though `zh` cuts most of it as `13a` does."""
    return names[:1] if names[0] == "13a" else names


def _choose(text: str) -> str:
    letters = len(_LETTER.findall(text))
    # Chinese may quote a kana, and English a Chinese word; Japanese and Korean cannot do without kana or hangul.
    unspaced = len(_UNSPACED.findall(text))
    if 10 * unspaced > letters:
        return "char"
    return "zh" if 10 * (unspaced + len(_CHINESE.findall(text))) > letters else "13a"
