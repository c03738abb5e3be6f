"""BLEU, as sacrebleu computes it."""

import warnings

from sacrebleu.metrics import bleu as sacrebleu

from aigc.errors import InputError
from aigc.metrics.text.corpus import CorpusMetric
from aigc.metrics.text.tokenizer import count_scripts

AUTO = "auto"


class BLEU(CorpusMetric):
    """Corpus BLEU from 0 to 100, equal to sacrebleu's with the same tokeniser (Papineni et al., 2002; Post, 2018).

    Args:
        tokenize: sacrebleu's tokeniser (13a, zh, char, intl, none, ...; spm and flores download one), or auto for zh
            when the references are mostly Chinese, char when they are Japanese or Korean, and 13a otherwise.
        smooth_method: What an n-gram order without a match counts: exp, floor, add-k, or none.
        smooth_value: The number that floor (0.1) and add-k (1) use instead of the one in parentheses.
        max_ngram_order: The longest n-grams that are compared.
        effective_order: Leave out n-gram orders that a short text cannot have.
        lowercase: Ignore case.

    Raises:
        InputError: The tokeniser or the smoothing has no such name, or the order is below 1.
    """

    _name = "bleu"

    def __init__(
        self,
        tokenize: str = AUTO,
        smooth_method: str = "exp",
        smooth_value: float | None = None,
        max_ngram_order: int = 4,
        effective_order: bool = False,
        lowercase: bool = False,
    ) -> None:
        super().__init__()
        _check_choice("tokenize", tokenize, [AUTO, *sacrebleu.BLEU.TOKENIZERS])
        _check_choice("smooth_method", smooth_method, list(sacrebleu.BLEU.SMOOTH_DEFAULTS))
        if max_ngram_order < 1:
            raise InputError(f"BLEU: max_ngram_order is {max_ngram_order}, it must be at least 1.")
        self._tokenize = tokenize
        self._smooth_method = smooth_method
        self._smooth_value = smooth_value
        self._max_ngram_order = max_ngram_order
        self._effective_order = effective_order
        self._lowercase = lowercase
        self._warned = False

    def compute(self) -> dict[str, float]:
        """Return {"bleu": score}; a corpus of mixed scripts is scored with one tokeniser, and warned about once."""
        if self._tokenize == AUTO and not self._warned:
            self._warn_if_mixed()
        return super().compute()

    def _build(self) -> sacrebleu.BLEU:
        return sacrebleu.BLEU(
            lowercase=self._lowercase,
            tokenize=self._choose_tokenizer() if self._tokenize == AUTO else self._tokenize,
            smooth_method=self._smooth_method,
            smooth_value=self._smooth_value,
            max_ngram_order=self._max_ngram_order,
            effective_order=self._effective_order,
        )

    def _unusual(self) -> dict[str, object]:
        unusual: dict[str, object] = {}
        if self._max_ngram_order != sacrebleu.MAX_NGRAM_ORDER:
            unusual["order"] = self._max_ngram_order
        if self._tokenize == AUTO and not self._pairs:
            unusual["tok"] = AUTO  # nothing is chosen before there is text
        return unusual

    def _choose_tokenizer(self) -> str:
        counts = self._count_scripts()
        unspaced = counts["han"] + counts["kana"] + counts["hangul"]
        if 2 * unspaced <= sum(counts.values()):
            return "13a"
        # Chinese text may quote a kana; Japanese and Korean cannot do without kana or hangul.
        return "char" if 10 * (counts["kana"] + counts["hangul"]) > unspaced else "zh"

    def _warn_if_mixed(self) -> None:
        counts = self._count_scripts()
        unspaced = counts["han"] + counts["kana"] + counts["hangul"]
        minority = min(unspaced, sum(counts.values()) - unspaced)
        if 3 * minority > sum(counts.values()):
            self._warned = True
            warnings.warn(
                f"BLEU: the references mix scripts: {unspaced} units of Chinese, Japanese or Korean and "
                f"{sum(counts.values()) - unspaced} others. All are cut with tokenize={self._choose_tokenizer()}: "
                "score the languages apart, or choose tokenize yourself.",
                stacklevel=3,
            )

    def _count_scripts(self) -> dict[str, int]:
        # A word counts as much as a Chinese character: by letters, one long English name would outweigh a sentence.
        return count_scripts(reference for _, references in self._pairs for reference in references)


def _check_choice(name: str, value: str, allowed: list[str]) -> None:
    if value not in allowed:
        raise InputError(f"BLEU: {name} is {value!r}. Allowed: {', '.join(allowed)}.")
