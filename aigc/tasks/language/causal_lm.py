"""Next-token prediction over packed documents."""

from typing import Any

from torch import Tensor

from aigc.models.isolation import isolation_of
from aigc.tasks.language.tokens import TokenTask


class CausalLM(TokenTask):
    """Trains a causal language model; reports perplexity per target token and bits per byte.

    Arguments as of `LanguageTask`.
    """

    saved_model = "aigc.inference.causal_lm.SavedCausalLM"

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """Return the logits of a packed batch, (rows, length, vocabulary); documents of one row are kept apart."""
        logits: Tensor = self.run_model(**self.model_inputs(batch)).logits
        return logits

    def model_inputs(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return what the network is called with for a batch."""
        inputs = {"input_ids": batch["input_ids"], "use_cache": False}
        isolation = isolation_of(self.model)
        # Kernels need no mask for one document a row. On a CPU it is always given, so that results stay the same bits.
        if isolation is None or not (batch.get("packed", True) or batch["segment_ids"].device.type == "cpu"):
            return inputs
        return inputs | isolation.inputs(self.model, batch)

    def aligned(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return each prediction with the next label."""
        return shifted(logits, labels)


def shifted(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return each prediction with the label that it predicts, the next one; the only place where labels are shifted.

    Args:
        logits: (rows, length, vocabulary), any float dtype.
        labels: (rows, length) int64, not shifted; IGNORE where nothing is learned.

    Returns:
        Logits and labels of (rows, length - 1) positions.
    """
    return logits[:, :-1], labels[:, 1:]
