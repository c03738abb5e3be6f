"""TER, as sacrebleu computes it."""

import numpy as np
import regex
from sacrebleu.metrics import ter as sacrebleu

from aigc.metrics.exact import DIGITS, from_digits, to_digits
from aigc.metrics.text.inputs import Pair
from aigc.metrics.text.sacrebleu_scorer import SacrebleuScorer, sacrebleu_signature
from aigc.metrics.text.scorer import Details, Integers

_CJK = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]")


class TERScorer(SacrebleuScorer):
    """Corpus translation edit rate in percent, 0 the best, equal to sacrebleu's (Snover et al., 2006).

    Args:
        normalized: Cut punctuation off words, and with asian_support cut Chinese and Japanese into characters.
        no_punct: Ignore punctuation.
        asian_support: Let normalized and no_punct know Chinese and Japanese, which without them are one word a line.
        case_sensitive: Do not ignore case.
    """

    metric_name = "ter"
    higher_is_better = False

    def __init__(
        self,
        normalized: bool = False,
        no_punct: bool = False,
        asian_support: bool = False,
        case_sensitive: bool = False,
    ) -> None:
        self._ter = sacrebleu.TER(normalized, no_punct, asian_support, case_sensitive)
        self._cuts_characters = normalized and asian_support
        super().__init__()

    @property
    def _columns(self) -> int:
        # Edits, the mean length of the references as digits, and whether the references are of characters.
        return 1 + DIGITS + 1

    def _engine(self) -> sacrebleu.TER:
        return self._ter

    def _rows(self, pairs: list[Pair]) -> Integers:
        statistics = np.asarray(self._statistics(self._ter, pairs), dtype=np.float64)
        unspaced = [any(_CJK.search(text) for text in references) for _, references in pairs]
        return np.column_stack([statistics[:, 0].astype(np.int64), to_digits(statistics[:, 1]), unspaced])

    def _scores(self, sums: Integers, pairs: int) -> dict[str, float]:
        return {"ter": self._result(_plain(sums)).score}

    def _details(self, sums: Integers, pairs: int) -> Details:
        edits, length = _plain(sums)
        return {"edits": int(edits), "reference_length": length}

    def _signature(self, sums: Integers, references: str) -> str:
        return sacrebleu_signature(self._ter, references)

    def _warnings(self, sums: Integers, pairs: int) -> dict[str, str]:
        if self._cuts_characters or 2 * int(sums[-1]) <= pairs:
            return {}
        return {
            "characters": "most references are Chinese or Japanese, where a line counts as one word unless "
            "normalized=true and asian_support=true cut it into characters."
        }


def _plain(sums: Integers) -> list[float]:
    return [int(sums[0]), from_digits(sums[1:-1])]
