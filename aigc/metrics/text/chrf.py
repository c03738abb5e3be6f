"""chrF, as sacrebleu computes it."""

from typing import Annotated

from sacrebleu.metrics import chrf as sacrebleu

from aigc.config.types import Bound
from aigc.errors import InputError
from aigc.metrics.text.inputs import Pair
from aigc.metrics.text.sacrebleu_scorer import SacrebleuScorer, sacrebleu_signature
from aigc.metrics.text.scorer import Details, Integers


class CHRFScorer(SacrebleuScorer):
    """Corpus chrF from 0 to 100, equal to sacrebleu's (Popović, 2015 and 2017).

    Where several references of a prediction score alike, such as 0, sacrebleu counts the one given first. Here it is
    the shortest one, so that their order has no effect: the score is sacrebleu's with the references of each prediction
    from short to long, and the signature says `ties:shortest`.

    Args:
        char_order: The longest character n-grams that are compared.
        word_order: The longest word n-grams that are compared; 2 is chrF++, 0 is right for Chinese without spaces.
        beta: How many times recall counts as much as precision.
        lowercase: Ignore case.
        whitespace: Let character n-grams run over spaces.
        eps_smoothing: Count an n-gram order without a match as almost 0 instead of leaving it out, as chrF++.py does.

    Raises:
        InputError: An order is negative, or char_order or beta is below 1.
    """

    metric_name = "chrf"

    def __init__(
        self,
        char_order: Annotated[int, Bound(1)] = 6,
        word_order: Annotated[int, Bound(0)] = 0,
        beta: Annotated[int, Bound(1)] = 2,
        lowercase: bool = False,
        whitespace: bool = False,
        eps_smoothing: bool = False,
    ) -> None:
        if char_order < 1 or word_order < 0 or beta < 1:
            raise InputError(
                f"{self.name}: char_order is {char_order}, word_order is {word_order}, beta is {beta}: "
                "they must be at least 1, 0 and 1."
            )
        self._chrf = sacrebleu.CHRF(char_order, word_order, beta, lowercase, whitespace, eps_smoothing)
        super().__init__()

    @property
    def _columns(self) -> int:
        # For each order the n-grams of the prediction, those of the reference, and those in both.
        return 3 * self._chrf.order

    def _engine(self) -> sacrebleu.CHRF:
        return self._chrf

    def _rows(self, pairs: list[Pair]) -> list[list[int]]:
        return self._statistics(self._chrf, pairs)

    def _scores(self, sums: Integers, pairs: int) -> dict[str, float]:
        return {"chrf": self._result(sums).score}

    def _details(self, sums: Integers, pairs: int) -> Details:
        predicted, expected, matches = sums.reshape(-1, 3).T.tolist()
        return {
            "precisions": [100.0 * m / n if n else 0.0 for m, n in zip(matches, predicted, strict=True)],
            "recalls": [100.0 * m / n if n else 0.0 for m, n in zip(matches, expected, strict=True)],
            "prediction_length": predicted[0],
            "reference_length": expected[0],
        }

    def _signature(self, sums: Integers, references: str) -> str:
        unusual: dict[str, object] = {} if self._chrf.beta == sacrebleu.CHRF.BETA else {"beta": self._chrf.beta}
        if references not in ("", "nrefs:1"):
            unusual["ties"] = "shortest"
        return sacrebleu_signature(self._chrf, references, **unusual)
