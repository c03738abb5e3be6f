"""BLEU, as sacrebleu computes it, with a tokeniser chosen by script."""

from typing import Annotated

import numpy as np
from sacrebleu.metrics import bleu as sacrebleu

from aigc.config.types import Bound
from aigc.metrics.text.bleu_options import AUTO, BleuOptions, Smoothing
from aigc.metrics.text.inputs import Pair
from aigc.metrics.text.sacrebleu_scorer import SacrebleuScorer, sacrebleu_signature
from aigc.metrics.text.sacrebleu_tokenizers import Tokenizer
from aigc.metrics.text.scorer import Details, Integers
from aigc.metrics.text.scripts import FITS, agreed, by_tokenizer, fit, mixture

TOKENIZED_LINES = 100
"""From this number of predictions that end in a separate period, warn that texts are tokenized."""
_OWN = 1 + len(FITS)


class BLEUScorer(SacrebleuScorer):
    """Corpus BLEU from 0 to 100, equal to sacrebleu's with the same tokeniser (Papineni et al., 2002; Post, 2018).

    `tokenize=auto` chooses for each pair by the script of its references: `char` where more than a tenth of their
    letters are kana, hangul, or of another script that sets no spaces between words (Thai, Lao, Khmer, Burmese, Tibetan
    and the like), `zh` where more than a tenth are Chinese characters, and `13a` elsewhere. The signature names the
    choice; where it names one tokeniser, the score is sacrebleu's with that one: lines cut by another one have the
    same tokens. A corpus where more than one line in ten is of another script than most gives a warning.

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

    metric_name = "bleu"

    def __init__(
        self,
        tokenize: Tokenizer = "auto",
        smooth_method: Smoothing = "exp",
        smooth_value: Annotated[float, Bound(0)] | None = None,
        max_ngram_order: Annotated[int, Bound(1)] = 4,
        effective_order: bool = False,
        lowercase: bool = False,
    ) -> None:
        self._options = BleuOptions(
            self.name, tokenize, smooth_method, smooth_value, max_ngram_order, effective_order, lowercase
        )
        super().__init__()

    @property
    def _columns(self) -> int:
        # Predictions that seem tokenized already; with `auto` the pairs of each fit; sacrebleu's own numbers.
        return _OWN + 2 + 2 * self._options.max_ngram_order

    def _engine(self, chosen: str = "") -> sacrebleu.BLEU:
        return self._options.engine(chosen)

    def _rows(self, pairs: list[Pair]) -> Integers:
        table = np.zeros((len(pairs), self._columns), dtype=np.int64)
        table[:, 0] = [prediction.endswith(" .") for prediction, _ in pairs]
        if self._options.tokenize != AUTO:
            table[:, _OWN:] = self._statistics(self._engine(), pairs)
            return table
        fits = [fit(references, prediction) for prediction, references in pairs]
        table[range(len(pairs)), [1 + FITS.index(names) for names in fits]] = 1
        for name in {names[0] for names in fits}:
            rows = [row for row, names in enumerate(fits) if names[0] == name]
            table[rows, _OWN:] = self._statistics(self._engine(name), [pairs[row] for row in rows])
        return table

    def _scores(self, sums: Integers, pairs: int) -> dict[str, float]:
        return {"bleu": self._result(sums[_OWN:]).score}

    def _details(self, sums: Integers, pairs: int) -> Details:
        own = sums[_OWN:]
        result = self._result(own)
        return {
            "precisions": result.precisions,
            "brevity_penalty": result.bp,
            "prediction_length": result.sys_len,
            "reference_length": result.ref_len,
            "matches": own[2 : 2 + self._options.max_ngram_order].tolist(),
            "ngrams": own[2 + self._options.max_ngram_order :].tolist(),
        }

    def _signature(self, sums: Integers, references: str) -> str:
        if self._options.tokenize != AUTO:
            return sacrebleu_signature(self._engine(), references, **self._options.unusual)
        lines = _lines(sums)
        name = agreed(lines)
        if name:
            return sacrebleu_signature(self._engine(name), references, **self._options.unusual)
        used_by = ",".join(f"{used}:{number}" for used, number in by_tokenizer(lines).items())
        return sacrebleu_signature(
            self._engine(), references, tok=f"{AUTO}[{used_by}]" if used_by else AUTO, **self._options.unusual
        )

    def _warnings(self, sums: Integers, pairs: int) -> dict[str, str]:
        messages = {}
        mixed = mixture(_lines(sums))
        if mixed:
            messages["scripts"] = (
                f"the references mix scripts: lines are {mixed}. To compare the score with others, score the languages "
                "apart, or choose tokenize yourself."
            )
        if sums[0] >= TOKENIZED_LINES:
            messages["cut"] = (
                f"{sums[0]} predictions end in ' .', as if they were tokenized already. BLEU tokenizes texts itself: "
                "give them as people write them, or set tokenize=none."
            )
        return messages


def _lines(sums: Integers) -> dict[tuple[str, ...], int]:
    """Return the number of lines of each fit."""
    return dict(zip(FITS, sums[1:_OWN].tolist(), strict=True))
