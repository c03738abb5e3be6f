"""Perplexity and bits per byte, from sums over any batches and ranks."""

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

import aigc
from aigc.metrics.distributed_metric import SumMetric
from aigc.metrics.exact import BITS, DIGITS, from_digits
from aigc.metrics.text.text_metric import as_tensors
from aigc.printing import plural

LIMIT = 2.0**40
"""Nats from which on a loss is as good as infinite: sums of smaller ones cannot overflow."""
_INFINITE, _NAN, _TOKENS, _CHARACTERS, _OF_CHARACTERS, _BYTES, _OF_BYTES = range(DIGITS, DIGITS + 7)


class Perplexity(SumMetric):
    """Perplexity, the exponential of the mean negative log likelihood of the target tokens, and bits per byte.

    Losses are computed in float32 or better and summed exactly, so that the score is the same for any split of the
    tokens. Perplexity per token depends on the tokeniser; the scores per character and per byte do not, and are those
    to compare models by. They are given where all batches gave their characters and bytes.

    Args:
        ignore_index: The label of positions that do not count.
    """

    higher_is_better = False

    def __init__(self, ignore_index: int = -100) -> None:
        super().__init__(DIGITS + 7)
        self.ignore_index = ignore_index
        self._counted: dict[str, Any] = {}

    def update(
        self,
        predictions: Tensor | float,
        references: Tensor | int,
        characters: int | None = None,
        bytes: int | None = None,
    ) -> None:
        """Add a batch, by its logits or by its summed loss.

        Args:
            predictions: Logits of any floating type, (..., vocabulary), or a sum of negative log likelihoods in nats.
            references: The label at each position, (...), not shifted here; or the number of tokens in that sum.
            characters: How many characters (code points) the targets stand for; null where nobody counted.
            bytes: How many bytes of UTF-8 they stand for; null where nobody counted.

        Raises:
            ValueError: Shapes do not fit, a label is not in the vocabulary, or a number of tokens, characters or
                bytes is none.
        """
        if isinstance(predictions, Tensor) and predictions.ndim:
            losses, tokens = self._losses(predictions, references)
        else:
            losses = torch.as_tensor(predictions, dtype=torch.float64, device="cpu").reshape(1)
            tokens = torch.as_tensor(references, device="cpu")
            if tokens.ndim or tokens.is_floating_point():
                raise ValueError("with a summed loss, references is the number of its tokens, a whole number")
            if tokens < 0:
                raise ValueError(f"the number of tokens must not be negative, got {int(tokens)}")
            if losses < 0 or (not tokens and losses != 0):
                raise ValueError(f"a loss of {float(losses)} over {plural(int(tokens), 'token')} cannot be")
        for number, what in ((characters, "characters"), (bytes, "bytes")):
            if number is not None and (number != int(number) or number < 0):
                raise ValueError(f"the number of {what} must be a whole one from 0 on, got {number}")
        infinite = losses.abs() >= LIMIT
        digits = _digits(torch.where(infinite | losses.isnan(), 0.0, losses))
        own = [*digits, infinite.sum(), losses.isnan().sum(), tokens]
        for number in (characters, bytes):
            own += [torch.as_tensor(int(number or 0)), tokens * (number is not None)]
        self.count(torch.stack([number.to(self.sums.device) for number in own]))

    def compute(self) -> dict[str, Tensor]:
        """The scores over all tokens of all ranks, as `likelihood_scores` names them; scalars of float64.

        Raises:
            ValueError: No token was counted.
        """
        self._counted = _plain(self.counted)
        return as_tensors(likelihood_scores(**self._counted))

    def details(self) -> dict[str, Any]:
        """The scores, and what they were made of: nll in nats, and numbers of tokens, characters and bytes."""
        self.compute()
        return {**likelihood_scores(**self._counted), **self._counted}

    @property
    def finite(self) -> bool:
        """Whether all losses were finite numbers, of this rank alone outside of `compute`."""
        return not bool(self.counted[[_INFINITE, _NAN]].any())

    @property
    def signature(self) -> str:
        """How the score is made."""
        return f"weight:token|sum:exact|version:aigc-{aigc.__version__}"

    def _losses(self, logits: Tensor, labels: Tensor | int) -> tuple[Tensor, Tensor]:
        """The loss at each position, 0 where it does not count, and the number of those that count."""
        if not isinstance(labels, Tensor) or labels.shape != logits.shape[:-1]:
            shape = tuple(labels.shape) if isinstance(labels, Tensor) else labels
            raise ValueError(
                f"logits of shape {tuple(logits.shape)} need labels of shape {tuple(logits.shape[:-1])}, got {shape}"
            )
        if not logits.is_floating_point() or labels.is_floating_point():
            raise ValueError(f"logits must be floating and labels whole numbers, got {logits.dtype} and {labels.dtype}")
        counts = labels != self.ignore_index
        wrong = counts & ((labels < 0) | (labels >= logits.shape[-1]))
        if bool(wrong.any()):
            raise ValueError(
                f"label {int(labels[wrong][0])} is neither one of {plural(logits.shape[-1], 'token')} "
                f"nor the ignored label {self.ignore_index}"
            )
        exact = logits if logits.dtype == torch.float64 else logits.float()
        losses = F.cross_entropy(
            exact.reshape(-1, logits.shape[-1]),
            labels.reshape(-1).long(),
            ignore_index=self.ignore_index,
            reduction="none",
        )
        return losses, counts.sum()


def likelihood_scores(nll: float, tokens: int, characters: float = 0, bytes: float = 0) -> dict[str, float]:
    """The scores of a text from the sum of the negative log likelihoods of its target tokens.

    Args:
        nll: The sum in nats, end tokens included.
        tokens: How many target tokens.
        characters: How many characters the text has; 0 where nobody counted.
        bytes: How many bytes of UTF-8 it has; 0 where nobody counted.

    Returns:
        perplexity (per target token); perplexity_per_character and bits_per_character; bits_per_byte. A perplexity
        beyond float64 is infinite.

    Raises:
        ValueError: There is no token.
    """
    if not tokens:
        raise ValueError("Perplexity has no token to measure: all labels are ignored, or nothing was added")
    scores = {"perplexity": _exp(nll / tokens)}
    if characters:
        scores["perplexity_per_character"] = _exp(nll / characters)
    if bytes:
        scores["bits_per_byte"] = nll / math.log(2.0) / bytes
    if characters:
        scores["bits_per_character"] = nll / math.log(2.0) / characters
    return scores


def _digits(losses: Tensor) -> list[Tensor]:
    """The sum of numbers as digits of `aigc.metrics.exact`; each step is exact in their own type."""
    rest = losses
    digits = []
    for _ in range(DIGITS):
        whole = torch.trunc(rest)
        digits.append(whole.long().sum())
        rest = (rest - whole) * 2.0**BITS
    return digits


def _plain(sums: Tensor) -> dict[str, Any]:
    numbers = [int(number) for number in sums.tolist()]
    nll = math.nan if numbers[_NAN] else math.inf if numbers[_INFINITE] else from_digits(numbers[:DIGITS])
    tokens = numbers[_TOKENS]
    return {
        "nll": nll,
        "tokens": tokens,
        "characters": numbers[_CHARACTERS] if numbers[_OF_CHARACTERS] == tokens else 0,
        "bytes": numbers[_BYTES] if numbers[_OF_BYTES] == tokens else 0,
    }


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
