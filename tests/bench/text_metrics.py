"""How fast texts are measured, against sacrebleu and rouge_score, in one process.

Usage: python tests/bench/text_metrics.py [--pairs N] [--rounds N]

The pairs are made from a seed and shared out over the rounds. In each round all sides take turns on the same pairs, so
that a change of the machine's speed meets all of them: the library, the metric with one `update`, and the metric with
batches of 64. Seconds are those of the processor, summed over the rounds. `speed` is the library's time divided by the
metric's, the median of the rounds; the promise is the least that it may be either way (0.91: the metric takes at most
1.1 times as long). All sides must give the same score. Exit code 1 if a promise is broken.
"""

import argparse
import gc
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_char import TokenizerChar
from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp
from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from aigc.metrics.text import BLEU, CHRF, ROUGE, TER

BATCH = 64
Texts = list[str]
Score = Callable[[Texts, Texts], float]
"""From predictions and references to a score from 0 to 100."""

AS_FAST = 1 / 1.1
TOLERANCE = 1e-6
REMEMBERING = (
    Tokenizer13a.__call__,
    TokenizerRegexp.__call__,
    TokenizerZh.__call__,
    TokenizerZh._is_chinese_char,
    TokenizerChar.__call__,
    TercomTokenizer.__call__,
)
"""What in sacrebleu's tokenisers remembers lines or characters, across rounds and sides."""


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    data: Callable[[random.Random], str]
    library: Score
    metric: Callable[[], Any]
    speed: float | None = None
    """What is promised; None means that the line only informs."""
    share: int = 1
    """It takes one in so many pairs, as the library is slow."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    gc.collect()
    gc.freeze()  # what was imported is not looked through again
    print(f"{'':<38}{'seconds':>25}{'speed':>17}")
    print(f"{'':<32}{'pairs':>6}{'library':>9}{'metric':>8}{'batches':>8}{'metric':>9}{'batches':>8}{'promise':>9}")
    broken = [case.name for case in cases() if not measure(case, options.pairs // case.share, options.rounds)]
    for name in broken:
        print(f"broken: {name}")
    return 1 if broken else 0


def measure(case: Case, pairs: int, rounds: int) -> bool:
    """Print one line; whether its promise is kept."""
    rng = random.Random(0)
    sides: list[Score] = [case.library, partial(in_batches, case, pairs), partial(in_batches, case, BATCH)]
    warm_up = list(made_pairs(rng, case.data, 10))
    for side in sides:
        timed(side, warm_up)
    times: list[list[float]] = []
    difference = 0.0
    for number in range(rounds):
        data = list(made_pairs(rng, case.data, max(pairs // rounds, 1)))
        order = [*range(len(sides))]
        found = {place: timed(sides[place], data) for place in order[number % 3 :] + order[: number % 3]}
        times.append([found[place][0] for place in order])
        difference = max(difference, *(abs(found[place][1] - found[0][1]) for place in order))
    speeds = [statistics.median(row[0] / row[place] for row in times) for place in (1, 2)]
    same = difference <= TOLERANCE
    kept = case.speed is None or min(speeds) >= case.speed
    library, whole, batches = (sum(column) for column in zip(*times, strict=True))
    seconds = f"{library:>9.2f}{whole:>8.2f}{batches:>8.2f}"
    promise = f"{case.speed:9.2f}" if case.speed else f"{'-':>9}"
    verdict = ("" if kept else "  BROKEN") + ("" if same else f"  SCORES DIFFER BY {difference:.2g}")
    print(f"{case.name:<32}{pairs:>6}{seconds}{speeds[0]:>9.2f}{speeds[1]:>8.2f}{promise}{verdict}", flush=True)
    return kept and same


def timed(side: Score, data: list[tuple[str, str]]) -> tuple[float, float]:
    """Seconds and the score, with nothing remembered from before."""
    predictions, references = (list(texts) for texts in zip(*data, strict=True))
    for function in REMEMBERING:
        function.cache_clear()
    gc.collect()
    began = time.process_time()
    score = side(predictions, references)
    return time.process_time() - began, score


def in_batches(case: Case, size: int, predictions: Texts, references: Texts) -> float:
    """The metric's score, by updates with so many pairs each; of several scores the last one."""
    metric = case.metric()
    for start in range(0, len(predictions), size):
        metric.update(predictions[start : start + size], references[start : start + size])
    return float([*metric.compute().values()][-1])


def by_sacrebleu(make: Callable[[], Any]) -> Score:
    """The call of sacrebleu on a corpus."""
    return lambda predictions, references: float(make().corpus_score(predictions, [references]).score)


def by_rouge_score(*types: str, tokenizer: Any = None) -> Score:
    """The mean over the pairs of rouge_score's F-measure; of several types the last one."""

    def score(predictions: Texts, references: Texts) -> float:
        scorer = RougeScorer([*types], tokenizer=tokenizer)
        rows = [scorer.score(reference, text) for text, reference in zip(predictions, references, strict=True)]
        return 100 * statistics.fmean(row[types[-1]].fmeasure for row in rows)

    return score


class Characters:
    """A tokeniser for rouge_score that cuts Chinese characters."""

    def tokenize(self, text: str) -> list[str]:
        return re.findall(r"[\u4e00-\u9fff]", text)


def cases() -> Iterator[Case]:
    """The table."""
    for language, data, cut in (("English", english, "13a"), ("Chinese", chinese, "zh")):
        library = by_sacrebleu(partial(sacrebleu.BLEU, tokenize=cut))
        yield Case(f"BLEU {cut}, {language}", data, library, partial(BLEU, tokenize=cut), AS_FAST)
        yield Case(f"BLEU auto, {language}", data, library, BLEU, AS_FAST)
        yield Case(f"chrF, {language}", data, by_sacrebleu(sacrebleu.CHRF), CHRF, AS_FAST)
        library = by_sacrebleu(partial(sacrebleu.CHRF, word_order=2))
        yield Case(f"chrF++, {language}", data, library, partial(CHRF, word_order=2), AS_FAST)
    yield Case("TER, English", english, by_sacrebleu(sacrebleu.TER), TER, share=10)
    library = by_rouge_score("rouge1", "rouge2", "rougeL")
    yield Case("ROUGE-1/2/L, 25 words", words, library, ROUGE, 4.0)
    yield Case("ROUGE-1/2/L, 100 words", partial(words, number=100), library, ROUGE, 12.0, share=4)
    library = by_rouge_score("rouge1", "rouge2", "rougeL", tokenizer=Characters())
    yield Case("ROUGE-1/2/L, 35 Chinese chars", characters, library, ROUGE, 4.0)
    yield Case("ROUGE-1/2/L, 100 Chinese chars", partial(characters, number=100), library, ROUGE, 12.0, share=4)
    library = by_rouge_score("rougeLsum")
    yield Case("ROUGE-Lsum, 4 lines of 25 words", lines, library, partial(ROUGE, ["rougeLsum"]), share=10)


def made_pairs(rng: random.Random, data: Callable[[random.Random], str], number: int) -> Iterator[tuple[str, str]]:
    """Predictions and references: one has some words or characters of another text in the other's places."""
    for _ in range(number):
        reference, other = data(rng), data(rng)
        separator = " " if " " in reference else ""
        units, others = (text.split(" ") if separator else [*text] for text in (reference, other))
        units = [rng.choice(others) if rng.random() < 0.3 else unit for unit in units]
        cut = rng.randrange(len(units)) if rng.random() < 0.5 else 0
        yield separator.join(units[cut:] + units[:cut]), reference


VOCABULARY = [
    "".join(rng.choices("etaoinshrdlucmfwypvbgkjqxz", range(26, 0, -1), k=rng.randint(1, 10)))
    for rng in [random.Random(1)]
    for _ in range(20_000)
]
HAN = [chr(code) for code in range(0x4E00, 0x4E00 + 3500)]
RARER = [*accumulate(1 / (rank + 2) for rank in range(len(VOCABULARY)))]
"""Words and characters are as unequally frequent as in a natural language (Zipf's law): their weights, added up."""


def words(rng: random.Random, number: int = 25) -> str:
    """A text of so many words and nothing else."""
    return " ".join(rng.choices(VOCABULARY, cum_weights=RARER, k=number))


def characters(rng: random.Random, number: int = 35) -> str:
    """A text of so many Chinese characters and nothing else."""
    return "".join(rng.choices(HAN, cum_weights=RARER[: len(HAN)], k=number))


def english(rng: random.Random) -> str:
    """A sentence of 25 words with marks and a number."""
    return f"{words(rng, 12)}, {words(rng, 12)} {rng.randrange(1000)}.".capitalize()


def chinese(rng: random.Random) -> str:
    """A sentence of 35 characters, marks included."""
    return f"{characters(rng, 16)}，{characters(rng, 17)}。"


def lines(rng: random.Random) -> str:
    """Four lines of 25 words, with line feeds where some of the spaces between words were."""
    return " \n ".join(words(rng) for _ in range(4))


if __name__ == "__main__":
    sys.exit(main())
