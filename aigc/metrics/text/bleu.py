"""BLEU, as sacrebleu computes it, with a tokeniser chosen by script."""

import math
import warnings
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import regex
from sacrebleu.metrics import bleu as sacrebleu

from aigc.config.problems import nearest
from aigc.config.types import Bound
from aigc.errors import InputError
from aigc.metrics.text.inputs import Pair
from aigc.metrics.text.sacrebleu_scorer import SacrebleuScorer
from aigc.metrics.text.sacrebleu_tokenizers import Tokenizer, check_tokenizer
from aigc.metrics.text.scorer import Details, Integers

AUTO = "auto"
Smoothing = Literal["exp", "floor", "add-k", "none"]
CHOICES = ("13a", "zh", "char")
"""What `tokenize=auto` chooses among."""
MIXED = 10
"""A corpus mixes scripts when one line in so many is cut in another way than most."""
# The characters beyond the basic plane are unknown to `zh`, which would take a line of them for one word.
_HAN = regex.compile(r"[[\p{Han}\p{Bopomofo}]--[\U00020000-\U0003FFFF]]", regex.VERSION1)
_OTHERS = regex.compile(
    r"[\p{Hiragana}\p{Katakana}ー\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Yi}\p{Javanese}"
    r"\p{Balinese}\p{Cham}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Tangut}\p{Nushu}"
    r"\U00020000-\U0003FFFF]"
)
_LETTER = regex.compile(r"\p{L}")


class BLEUScorer(SacrebleuScorer):
    """Corpus BLEU from 0 to 100, equal to sacrebleu's with the same tokeniser (Papineni et al., 2002; Post, 2018).

    `tokenize=auto` chooses for each pair by the script of its references: `zh` where they have Chinese characters,
    `char` where more than a tenth of their letters are kana, hangul, or of another script that sets no spaces between
    words (Thai, Lao, Khmer, Burmese, Tibetan and the like), and `13a` elsewhere. The signature tells what was chosen;
    where it names one tokeniser, the score is sacrebleu's with that one.

    Args:
        tokenize: auto, or sacrebleu's tokeniser: 13a, zh, char, intl, none, and where what they need is installed
            ja-mecab, ko-mecab, flores101, flores200, spBLEU-1K.
        smooth_method: What an n-gram order without a match counts: exp, floor, add-k, or none.
        smooth_value: The number that floor and add-k use; null means 0.1 and 1.
        max_ngram_order: The longest n-grams that are compared.
        effective_order: Leave out n-gram orders that a short text cannot have.
        lowercase: Ignore case.

    Raises:
        InputError: The tokeniser or the smoothing has no such name, the tokeniser would have to be downloaded, the
            order is below 1, or the smoothing value is negative.
    """

    def __init__(
        self,
        tokenize: Tokenizer = "auto",
        smooth_method: Smoothing = "exp",
        smooth_value: Annotated[float, Bound(0)] | None = None,
        max_ngram_order: Annotated[int, Bound(1)] = 4,
        effective_order: bool = False,
        lowercase: bool = False,
    ) -> None:
        check_options(self.name, tokenize, smooth_method, smooth_value, max_ngram_order)
        self._tokenize = tokenize
        self._order = max_ngram_order
        self._options = {
            "smooth_method": smooth_method,
            "smooth_value": smooth_value,
            "max_ngram_order": max_ngram_order,
            "effective_order": effective_order,
            "lowercase": lowercase,
        }
        self._engines: dict[str, sacrebleu.BLEU] = {}
        self._warned = False
        super().__init__()

    @property
    def _columns(self) -> int:
        # With `auto`, how many pairs each tokeniser cut comes first.
        return self._choices + 2 + 2 * self._order

    @property
    def _choices(self) -> int:
        return len(CHOICES) if self._tokenize == AUTO else 0

    def _engine(self, tokenize: str = "") -> sacrebleu.BLEU:
        name = tokenize or (CHOICES[0] if self._tokenize == AUTO else self._tokenize)
        if name not in self._engines:  # sacrebleu remembers cut lines for each tokeniser that was made
            self._engines[name] = sacrebleu.BLEU(tokenize=name, **self._options)  # type: ignore[arg-type]
        return self._engines[name]

    def _rows(self, pairs: list[Pair]) -> Integers | list[list[int]]:
        if self._tokenize != AUTO:
            return self._statistics(self._engine(), pairs)
        table = np.zeros((len(pairs), self._columns), dtype=np.int64)
        chosen = [choose_tokenizer(references) for _, references in pairs]
        for column, name in enumerate(CHOICES):
            places = [place for place, choice in enumerate(chosen) if choice == name]
            if places:
                table[places, column] = 1
                rows = self._statistics(self._engine(name), [pairs[place] for place in places])
                table[places, self._choices :] = rows
        return table

    def _scores(self, sums: Integers, pairs: int) -> dict[str, float]:
        self._warn_if_mixed(sums)
        return {"bleu": self._result(sums[self._choices :]).score}

    def _details(self, sums: Integers, pairs: int) -> Details:
        own = sums[self._choices :]
        result = self._result(own)
        return {
            "precisions": result.precisions,
            "brevity_penalty": result.bp,
            "prediction_length": result.sys_len,
            "reference_length": result.ref_len,
            "matches": own[2 : 2 + self._order].tolist(),
            "ngrams": own[2 + self._order :].tolist(),
        }

    def _signature(self, sums: Integers, references: str) -> str:
        unusual = {} if self._order == sacrebleu.MAX_NGRAM_ORDER else {"order": self._order}
        used = _used(sums[: self._choices])
        if self._tokenize != AUTO or len(used) == 1:
            return self._signature_by(self._engine("".join(used)), references, **unusual)
        told = f"[{','.join(f'{name}:{lines}' for name, lines in used.items())}]" if used else ""
        return self._signature_by(self._engine(), references, tok=AUTO + told, **unusual)

    def _warn_if_mixed(self, sums: Integers) -> None:
        told = "" if self._warned else mixture(_used(sums[: self._choices]))
        if not told:
            return
        self._warned = True
        warnings.warn(
            f"{self.name}: the references mix scripts: lines are cut {told}. To compare the score with others, "
            "score the languages apart, or choose tokenize yourself.",
            stacklevel=5,
        )


def check_options(
    who: str, tokenize: str, smooth_method: str, smooth_value: float | None, max_ngram_order: int
) -> None:
    """See that BLEU can be computed so; an InputError in the name of the metric `who` says what is wrong."""
    check_tokenizer(who, tokenize)
    methods = list(sacrebleu.BLEU.SMOOTH_DEFAULTS)
    if smooth_method not in methods:
        near = nearest(str(smooth_method), methods)
        told = f" Nearest: {near}." if near else ""
        raise InputError(f"{who}: smooth_method is {smooth_method!r}. Allowed: {', '.join(methods)}.{told}")
    if smooth_value is not None and not 0 <= smooth_value < math.inf:
        raise InputError(f"{who}: smooth_value is {smooth_value}, it must be null or a number from 0 on.")
    if max_ngram_order < 1:
        raise InputError(f"{who}: max_ngram_order is {max_ngram_order}, it must be at least 1.")


def mixture(used: dict[str, int]) -> str:
    """With which tokenisers the lines of a corpus are cut, in words, where it mixes scripts; empty where it does not.

    Args:
        used: How many lines each tokeniser cuts.
    """
    total = sum(used.values())
    if not total or MIXED * (total - max(used.values())) <= total:
        return ""
    return ", ".join(f"{lines} with {name}" for name, lines in used.items())


def choose_tokenizer(references: Sequence[str]) -> str:
    """The tokeniser of sacrebleu that fits the script of some texts; see `BLEUScorer`."""
    text = "".join(references)
    if text.isascii():
        return "13a"
    others = len(_OTHERS.findall(text))
    # Chinese and English may quote a kana; Japanese and Korean cannot do without kana or hangul.
    if others and 10 * others > len(_LETTER.findall(text)):
        return "char"
    return "zh" if _HAN.search(text) else "13a"


def _used(counts: Integers) -> dict[str, int]:
    return {name: int(count) for name, count in zip(CHOICES, counts, strict=False) if count}
