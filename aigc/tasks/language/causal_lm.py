"""Next-token prediction over packed documents."""

from typing import Any

import torch
from torch import Tensor

from aigc.tasks.language.tokens import TokenTask


class CausalLM(TokenTask):
    """Trains a causal language model; reports perplexity per target token and bits per byte.

    Arguments as of `LanguageTask`.
    """

    saved_model = "aigc.inference.causal_lm.SavedCausalLM"

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """Return the logits of a packed batch, (rows, length, vocabulary); documents of one row are kept apart."""
        segments = batch["segment_ids"]
        # Kernels need no mask for one document a row. On a CPU it is always given, so that results stay the same bits.
        if batch.get("packed", True) or segments.device.type == "cpu":
            # Position ids alone isolate only without mask and cache; a mask does everywhere (transformers#46634).
            return self._logits(batch["input_ids"], batch["position_ids"], document_mask(segments))
        return self._logits(batch["input_ids"])

    def _logits(self, ids: Tensor, positions: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        output = self.run_model(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False)
        logits: Tensor = output.logits
        return logits

    def aligned(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return each prediction with the next label."""
        return shifted(logits, labels)


def document_mask(segments: Tensor) -> Tensor:
    """Return which tokens each token sees, (rows, 1, length, length) bool: those before it in its own document.

    Args:
        segments: Number of the document of each token, (rows, length).
    """
    length = segments.shape[1]
    same = segments[:, :, None] == segments[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    return (same & causal)[:, None]


def shifted(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return each prediction with the label that it predicts, the next one; the only place where labels are shifted.

    Args:
        logits: (rows, length, vocabulary), any float dtype.
        labels: (rows, length) int64, not shifted; IGNORE where nothing is learned.

    Returns:
        Logits and labels of (rows, length - 1) positions.
    """
    return logits[:, :-1], labels[:, 1:]
