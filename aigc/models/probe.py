"""Outputs of a language model for fixed tokens, to compare two forms of it."""

from typing import Any

import torch
from torch import Tensor

from aigc.models.context import context_length


def fixed_tokens(config: Any) -> Tensor:
    """Return the token ids that are compared, (2, length), within the model's context."""
    text = config.get_text_config()
    length = min(context_length(text) or 16, 16)
    ids: Tensor = torch.arange(2 * length).reshape(2, length) % text.vocab_size
    end = text.eos_token_id
    if config.is_encoder_decoder and isinstance(end, int):  # heads of some read the last end token
        ids[ids == end] = (end + 1) % text.vocab_size
        ids[:, -1] = end
    return ids


@torch.no_grad()
def fixed_logits(model: Any, ids: Tensor) -> Tensor:
    """Return the logits for some tokens, in evaluation mode, on the CPU; the model's mode is restored.

    Args:
        model: A model of Transformers.
        ids: What `fixed_tokens` returns.
    """
    training, ids = model.training, ids.to(model.device)
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})
    model.eval()
    try:
        logits: Tensor = model(**inputs)[0]
    finally:
        model.train(training)
    return logits.cpu()


def largest_difference(one: Tensor, other: Tensor) -> float:
    """Return the largest absolute difference; infinite where shapes differ."""
    if one.shape != other.shape:
        return float("inf")
    return float((one.double() - other.double()).abs().max())
