"""Tasks that predict tokens, and the loss of a token."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from aigc.data.text.packing import IGNORE
from aigc.metrics.text.perplexity import Perplexity, likelihood_scores
from aigc.tasks.language.base import LanguageTask

LARGE = 2**27
"""Logits of a batch from which on they are taken in parts: half a gigabyte in float32, and as much for its gradient."""
PART = 2**25
"""Logits in one part."""


class TokenTask(LanguageTask):
    """A task that predicts the tokens in `batch["labels"]`; a subclass defines `forward`, which returns the logits.

    Validation reports the perplexity of the labels, and bits per byte and per character where the data counts these.
    Arguments as of `LanguageTask`.
    """

    monitor = ("val/perplexity", "min")

    @cached_property
    def _perplexity(self) -> Perplexity:
        return Perplexity(ignore_index=IGNORE)

    def aligned(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and the labels that they predict, (..., vocabulary) and (...)."""
        return logits, labels

    def token_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return what training minimises for each token, (tokens,); override it for a loss of your own.

        Args:
            logits: What `forward` returns, (rows, length, vocabulary).
            labels: (rows, length) int64 as in the batch; IGNORE where nothing is learned.
        """
        return token_nll(*self.aligned(logits, labels))

    def loss(self, batch: Any) -> Tensor:
        """Return the sum over the tokens of a batch."""
        return self.token_losses(self(batch), batch["labels"]).sum()

    def on_validation_epoch_start(self) -> None:
        """Reset the sums."""
        self._perplexity.to(self.device).reset()

    def validation_step(self, batch: Any, batch_index: int) -> None:
        """Add a batch to the sums."""
        for logits, labels in self.predictions(batch):
            self._perplexity.update(logits, labels)

    def predictions(self, batch: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the logits of a batch in their order, part by part, and the labels that they predict."""
        return parts(*self.aligned(self(batch), batch["labels"]))

    def validation_is_finite(self) -> bool:
        """Return whether the sums are finite."""
        return self._perplexity.finite

    def value_names(self) -> set[str] | None:
        """Return the names of the values that its validation records; None if a subclass has scores of its own."""
        own = type(self).validation_scores is not TokenTask.validation_scores
        sets = [
            "val",
            *(f"val/{name}" for name in getattr(getattr(self._trainer, "datamodule", None), "validation_sets", {})),
        ]
        scores = likelihood_scores(1.0, 1, characters=1, bytes=1)
        return None if own else {f"{prefix}/{name}" for prefix in sets for name in scores}

    def validation_scores(self) -> tuple[Mapping[str, float], Mapping[str, str]]:
        """Return perplexity per token and per character, and bits per byte."""
        counted = self._perplexity.details()
        whole = self.validation_numbers
        # One for a whole validation; a limited one stands for its share of the text.
        share = counted["tokens"] / whole["target_tokens"] if whole else 0.0
        text = {name: whole.get(name, 0) * share for name in ("characters", "bytes")}
        scores = likelihood_scores(counted["nll"], counted["tokens"], **text)
        return scores, dict.fromkeys(scores, self._perplexity.signature)


def token_nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the negative log likelihood of each label, in float32.

    Of large logits only a part at a time is held in float32, and computed again in the backward pass.

    Args:
        logits: (rows, length, vocabulary), any float dtype.
        labels: (rows, length) int64; IGNORE where nothing is learned.

    Returns:
        (rows * length,) float32, in nats; 0 where the label is IGNORE.
    """
    if logits.numel() < LARGE:
        return _nll(logits, labels)
    losses = [
        checkpoint(_nll, *part, use_reentrant=False, preserve_rng_state=False) if logits.requires_grad else _nll(*part)
        for part in parts(logits, labels)
    ]
    return torch.cat(losses)


def _nll(logits: Tensor, labels: Tensor) -> Tensor:
    losses: Tensor = _NLL.apply(logits.reshape(-1, logits.shape[-1]).float(), labels.reshape(-1))
    return losses


class _NLL(torch.autograd.Function):
    """Cross-entropy whose gradient takes the place of the log probabilities, so that one tensor of that size is held.

    `torch.nn.functional.cross_entropy` makes three. As their place is taken, a second backward pass is an error.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor) -> Tensor:
        log_probabilities = F.log_softmax(scores, dim=-1)
        ctx.save_for_backward(log_probabilities, labels)
        ctx.is_spent = False
        return F.nll_loss(log_probabilities, labels, ignore_index=IGNORE, reduction="none")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if ctx.is_spent:
            raise RuntimeError("the loss of tokens has one backward pass: its gradient is computed in place")
        ctx.is_spent = True
        log_probabilities, labels = ctx.saved_tensors
        weights = torch.where(labels == IGNORE, 0.0, gradient)[:, None]
        of_scores = log_probabilities.exp_().mul_(weights)
        return of_scores.scatter_add_(1, labels.clamp_min(0)[:, None], -weights), None


def parts(logits: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits and labels whole, or in parts in their order where the logits are large; views, no copies.

    Args:
        logits: (rows, length, vocabulary), or (rows, classes).
        labels: (rows, length), or (rows,).
    """
    if logits.numel() < LARGE or logits.ndim < 3:
        yield logits, labels
        return
    _, length, vocabulary = logits.shape
    rows = max(1, PART // (length * vocabulary))
    tokens = max(1, PART // vocabulary)
    for several, of_several in zip(torch.split(logits, rows), torch.split(labels, rows), strict=True):
        yield from zip(torch.split(several, tokens, dim=1), torch.split(of_several, tokens, dim=1), strict=True)
