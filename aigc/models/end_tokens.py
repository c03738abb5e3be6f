"""Tokens that end a text: the tokenizer's own, and further ones that pretrained weights name, as chat models do."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from aigc.errors import InputError
from aigc.models.pretrained import load_tokenizer


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Return all ids that end a text of this model, the tokenizer's own first."""
    named = [tokenizer.eos_token_id, *_named(getattr(model, "generation_config", None))]
    return [one for one in dict.fromkeys(named) if one is not None]


def set_end_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, source: str | None, further: Sequence[int] = ()
) -> None:
    """Make the tokenizer's end token one of those of the model; further ones of pretrained weights are kept.

    `generation_config` holds all of them. The model's own configuration holds one where it held one before, as some
    heads of Transformers look for that token in a text.

    Args:
        model: Its configurations are changed.
        tokenizer: The tokenizer that it is trained with.
        source: Where its weights and their own tokenizer are from; None for random weights.
        further: Ids that end a text besides, such as those of a chat template.
    """
    generation, own = getattr(model, "generation_config", None), tokenizer.eos_token_id
    in_config = _named(model.config)
    kept = _of_this_tokenizer([*in_config, *_named(generation)], tokenizer, source)
    model.config.eos_token_id = _joined([one for one in in_config if one in kept], own) if len(in_config) > 1 else own
    if generation is not None:
        generation.eos_token_id = _joined([*kept, *further], own)


def add_end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, further: Sequence[int]) -> None:
    """Let further tokens end a text that a model writes, such as those of its chat template.

    Args:
        model: Its `generation_config` is changed.
        tokenizer: Its tokenizer.
        further: Their ids.
    """
    generation = model.generation_config
    generation.eos_token_id = _joined([*_named(generation), *further], tokenizer.eos_token_id)


def set_special_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Set the tokens that begin and pad a text in the configurations of a model.

    Args:
        model: Its configurations are changed.
        tokenizer: The tokenizer that it is trained with.
    """
    special = {name: getattr(tokenizer, name) for name in ("bos_token_id", "pad_token_id")}
    if model.config.is_encoder_decoder and getattr(model.config, "decoder_start_token_id", None) is None:
        pad = special["pad_token_id"]
        special["decoder_start_token_id"] = tokenizer.eos_token_id if pad is None else pad  # T5 begins so
    for name, value in special.items():
        setattr(model.config, name, value)
        if getattr(model, "generation_config", None) is not None:
            setattr(model.generation_config, name, value)


def _named(config: Any) -> list[int]:
    named = getattr(config, "eos_token_id", None)
    return [] if named is None else [named] if isinstance(named, int) else list(named)


def _joined(ends: list[int], own: int | None) -> int | list[int] | None:
    """Return a list where there are several, as Transformers has it."""
    every = [one for one in dict.fromkeys([*ends, own]) if one is not None]
    return every if len(every) > 1 else own


def _of_this_tokenizer(ends: list[int], tokenizer: PreTrainedTokenizerFast, source: str | None) -> list[int]:
    """Return the ids that mean the same token in this tokenizer as in that of the pretrained weights."""
    own, ends = tokenizer.eos_token_id, [one for one in ends if one < len(tokenizer)]
    if source is None or not set(ends) - {own}:
        return [one for one in ends if one == own]
    try:
        theirs = load_tokenizer(source)
    except InputError:  # the weights came without one
        special = {*tokenizer.all_special_ids} - {tokenizer.pad_token_id, tokenizer.unk_token_id} | {own}
        return [one for one in ends if one in special]
    tokens, their_tokens = tokenizer.convert_ids_to_tokens(ends), theirs.convert_ids_to_tokens(ends)
    return [one for one, token, their in zip(ends, tokens, their_tokens, strict=True) if one == own or token == their]
