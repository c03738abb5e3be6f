"""Trained virtual tokens before each text, inside a model of Transformers: it is called, and generates, as without."""

from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import Cache, PreTrainedModel

from aigc.models.context import VIRTUAL

_WRAPPER = "aigc_peft"


def prepend(model: PreTrainedModel, wrapper: PeftModel) -> None:
    """Let a model begin each row with virtual tokens, of prompt tuning or of prefix tuning, in place.

    Each row holds one text, padded on either side. Logits are those of the row alone.

    Args:
        model: A causal language model.
        wrapper: PEFT's view of it.
    """
    model.prompt_encoder = wrapper.prompt_encoder
    # `context_length` reads it: these positions are no longer there for a text.
    setattr(model.config, VIRTUAL, wrapper.active_peft_config.num_virtual_tokens)
    model.aigc_isolation = None  # there is one document a row, and its mask is the model's own
    model.register_forward_pre_hook(_begin, with_kwargs=True)
    model.register_forward_hook(_end, with_kwargs=True)


def _begin(model: Any, arguments: tuple[Any, ...], inputs: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
    """Put the virtual tokens, or their keys and values, before the first tokens of a row; shift what counts tokens."""
    wrapper, number = model.__dict__[_WRAPPER], getattr(model.config, VIRTUAL)
    given = dict(inputs) | ({"input_ids": arguments[0]} if arguments else {})
    rows, length = (given["input_ids"] if given.get("input_ids") is not None else given["inputs_embeds"]).shape[:2]
    cache: Cache | None = given.get("past_key_values")
    begins = cache is None or not cache.get_seq_length()
    mask, positions = given.get("attention_mask"), given.get("position_ids")
    # Any other mask keeps documents of a row apart, and there is one: the model's own says the same.
    padding = mask if isinstance(mask, Tensor) and mask.ndim == 2 else None
    given["attention_mask"] = None if padding is None else torch.cat([padding.new_ones(rows, number), padding], dim=1)
    if positions is not None:
        positions = positions + number
    if begins and wrapper.active_peft_config.peft_type == "PREFIX_TUNING":
        prefix = wrapper.get_prompt(rows)
        given["past_key_values"] = prefix if cache is None else _filled(cache, prefix)
        if positions is None:
            positions = torch.arange(number, number + length, device=model.device).expand(rows, -1)
    elif begins:
        embeddings = given.pop("inputs_embeds", None)
        ids = given.pop("input_ids", None)
        embeddings = model.get_input_embeddings()(ids) if embeddings is None else embeddings
        virtual = wrapper.get_prompt(rows).to(embeddings.dtype)
        given["inputs_embeds"] = torch.cat([virtual, embeddings], dim=1)
        if positions is not None:
            first = torch.arange(number, device=positions.device).expand(len(positions), -1)
            positions = torch.cat([first, positions], dim=1)
    return (), given | {"position_ids": positions}


def _end(model: Any, arguments: tuple[Any, ...], inputs: dict[str, Any], output: Any) -> Any:
    """Return the logits of the row without those of the virtual tokens."""
    embeddings, number = inputs.get("inputs_embeds"), getattr(model.config, VIRTUAL)
    if embeddings is not None and output.logits.shape[1] == embeddings.shape[1]:
        output.logits = output.logits[:, number:]
    if inputs.get("use_cache") is False and "past_key_values" in output:
        output.past_key_values = None  # a prefix is no cache that the next call may fill
    return output


def _filled(cache: Cache, prefix: Cache) -> Cache:
    """Put keys and values into an empty cache."""
    for index, layer in enumerate(prefix.layers):
        cache.update(layer.keys, layer.values, index)
    return cache
