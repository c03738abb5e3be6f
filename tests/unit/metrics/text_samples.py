"""Texts to measure, and sacrebleu's own score of them."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sacrebleu
from hypothesis import strategies as st

import aigc.assets

Pairs = list[tuple[str, list[str]]]
Sacrebleu = sacrebleu.BLEU | sacrebleu.CHRF | sacrebleu.TER
ASSETS = Path(aigc.assets.__file__).parent


def column(name: str, key: str, lines: int) -> list[str]:
    """The first lines of a column of a bundled table."""
    with (ASSETS / name).open(encoding="utf-8", newline="") as file:
        return [row[key] for _, row in zip(range(lines), csv.DictReader(file, delimiter="\t"), strict=False)]


POEMS = column("tang_quatrains.tsv", "poem", 40)
COUPLETS = column("couplets.tsv", "upper", 20)
ENGLISH = [
    "The cat sat on the mat, and it didn't move for 3.14 hours.",
    "the cat was sitting there quietly",
    "He said &quot;hi&quot; &amp; left -- at 10-11 o'clock (twice)!",
    "A naïve café owner's résumé: 1,000.50 USD.",
    "e.g. state-of-the-art U.S. models cost $5,000,000 .",
]
MIXED = [
    "我们用PyTorch训练GPT-2模型，学习率为3e-4。",
    "我们使用PyTorch来训练GPT-2模型，学习率设为3e-4。",
    "今天天气很好,我们去公园吧!",
    "今天天气很好，我们去公园吧！",
    "他说“你好”，然后走了……",
    "私は毎日コンピュータを使っています。",
    "ｺﾝﾋﾟｭｰﾀとＡＢＣ１２３（全角）",
    "나는 매일 컴퓨터를 사용합니다.",
    "今天很开心😀👍🏽 👩‍👩‍👧",
    "Кошка сидела на ковре.",
]
EDGES = ["", " ", "\u3000", "a", "我", "。", ".", "😀", "a b", " a  b\t c\nd ", "\u00a0x\u2028y\x85z", "İ ß ǅ", "𠀀𠀁"]
REAL = [*POEMS, *COUPLETS, *ENGLISH, *MIXED, *EDGES]
LONG = [" ".join(f"w{place * step % 89}" for place in range(600)) for step in (5, 7)]
LONG_CHINESE = ["".join(POEMS[start : start + 25])[:600] for start in (0, 12)]

_PIECES = ["the ", "cat ", "sat", " a", "A ", ".", ", ", "3.1", "-", "'s ", "&amp;", "\n", " ", "\u3000"]
_PIECES += [
    *"我们训练模型，。床",
    "Ａ",
    "！",
    "ｶ",
    "か",
    "カ",
    "ー",
    "한",
    "é",
    "e\u0301",
    "😀",
    "👍🏽",
    "\u200d",
    "𠀀",
    "ن",
    "क",
]
built = st.lists(st.sampled_from(_PIECES), max_size=14).map("".join)
texts = st.one_of(built, built, st.sampled_from(REAL), st.text(max_size=12))


@st.composite
def _pair(draw: st.DrawFn, texts: st.SearchStrategy[str], most: int) -> tuple[str, list[str]]:
    """A prediction that is like its references, more often than chance has it."""
    references = draw(st.lists(texts, min_size=1, max_size=most))
    base = draw(st.sampled_from(references))
    start, stop = draw(st.integers(0, 3)), draw(st.integers(0, 20))
    return draw(st.sampled_from([base, base[start:], base[:stop] + base[-1:]]) | texts), references


def corpora(texts: st.SearchStrategy[str] = texts, references: int = 4, size: int = 5) -> st.SearchStrategy[Pairs]:
    """Corpora of some pairs, each with some references, not all with as many."""
    return st.lists(_pair(texts, references), min_size=1, max_size=size)


def split(pairs: Pairs) -> tuple[list[str], list[list[str]]]:
    """The predictions and the references."""
    return [prediction for prediction, _ in pairs], [references for _, references in pairs]


def in_order(references: Sequence[str]) -> list[str]:
    """The references as aigc gives them to sacrebleu."""
    return sorted(references, key=lambda text: (len(text), text))


def sacrebleu_result(metric: Sacrebleu, pairs: Pairs) -> Any:
    """What sacrebleu says of a corpus, with the references in the order that they have."""
    most = max(len(references) for _, references in pairs)
    streams = [[references[i] if i < len(references) else None for _, references in pairs] for i in range(most)]
    return metric.corpus_score([prediction for prediction, _ in pairs], streams)
