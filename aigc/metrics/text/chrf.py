"""chrF, as sacrebleu computes it."""

from sacrebleu.metrics import chrf as sacrebleu

from aigc.errors import InputError
from aigc.metrics.text.corpus import CorpusMetric


class CHRF(CorpusMetric):
    """Corpus chrF from 0 to 100, equal to sacrebleu's (Popović, 2015 and 2017).

    Args:
        char_order: The longest character n-grams that are compared.
        word_order: The longest word n-grams that are compared; 2 is chrF++, 0 is right for Chinese without spaces.
        beta: How many times recall counts as much as precision.
        lowercase: Ignore case.
        whitespace: Let character n-grams run over spaces.
        eps_smoothing: Count an n-gram order without a match as almost 0 instead of leaving it out, as chrF++.py does.

    Raises:
        InputError: An order is negative, both are 0, or beta is below 1.
    """

    _name = "chrf"

    def __init__(
        self,
        char_order: int = 6,
        word_order: int = 0,
        beta: int = 2,
        lowercase: bool = False,
        whitespace: bool = False,
        eps_smoothing: bool = False,
    ) -> None:
        super().__init__()
        if char_order < 1 or word_order < 0 or beta < 1:
            raise InputError(
                f"CHRF: char_order is {char_order}, word_order is {word_order}, beta is {beta}: "
                "they must be at least 1, 0 and 1."
            )
        self._char_order = char_order
        self._word_order = word_order
        self._beta = beta
        self._lowercase = lowercase
        self._whitespace = whitespace
        self._eps_smoothing = eps_smoothing

    def _build(self) -> sacrebleu.CHRF:
        return sacrebleu.CHRF(
            char_order=self._char_order,
            word_order=self._word_order,
            beta=self._beta,
            lowercase=self._lowercase,
            whitespace=self._whitespace,
            eps_smoothing=self._eps_smoothing,
        )

    def _unusual(self) -> dict[str, object]:
        return {} if self._beta == sacrebleu.CHRF.BETA else {"beta": self._beta}
