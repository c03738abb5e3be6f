"""Options that BLEU and Self-BLEU share, and sacrebleu's metric made from them."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sacrebleu.metrics import bleu as sacrebleu

from aigc.config.problems import choices
from aigc.errors import InputError
from aigc.metrics.text.sacrebleu_tokenizers import check_tokenizer

AUTO = "auto"
Smoothing = Literal["exp", "floor", "add-k", "none"]


@dataclass(frozen=True)
class BleuOptions:
    """Options of BLEU; a wrong one is an InputError that names the metric `who`."""

    who: str
    tokenize: str
    smooth_method: str
    smooth_value: float | None
    max_ngram_order: int
    effective_order: bool
    lowercase: bool
    _engines: dict[str, sacrebleu.BLEU] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_tokenizer(self.who, self.tokenize)
        if self.smooth_method not in sacrebleu.BLEU.SMOOTH_DEFAULTS:
            allowed = choices(self.smooth_method, get_args(Smoothing))
            raise InputError(f"{self.who}: smooth_method is {self.smooth_method!r}. {allowed}")
        if self.smooth_value is not None and not 0 <= self.smooth_value < math.inf:
            raise InputError(f"{self.who}: smooth_value is {self.smooth_value}, it must be null or at least 0.")
        if self.max_ngram_order < 1:
            raise InputError(f"{self.who}: max_ngram_order is {self.max_ngram_order}, it must be at least 1.")

    @property
    def unusual(self) -> dict[str, Any]:
        """Options that sacrebleu's signature leaves out."""
        return {} if self.max_ngram_order == sacrebleu.MAX_NGRAM_ORDER else {"order": self.max_ngram_order}

    def engine(self, chosen: str = "") -> sacrebleu.BLEU:
        """The metric of sacrebleu; with `tokenize=auto` it cuts with the tokeniser that was chosen, 13a before that."""
        name = chosen or (sacrebleu.BLEU.TOKENIZER_DEFAULT if self.tokenize == AUTO else self.tokenize)
        if name not in self._engines:  # sacrebleu caches tokenized lines in each tokeniser
            self._engines[name] = sacrebleu.BLEU(
                lowercase=self.lowercase,
                force=True,  # BLEUScorer has its own warning about tokenized texts
                tokenize=name,
                smooth_method=self.smooth_method,
                smooth_value=self.smooth_value,
                max_ngram_order=self.max_ngram_order,
                effective_order=self.effective_order,
            )
        return self._engines[name]
