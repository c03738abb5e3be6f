"""Texts of generated tokens."""

from collections.abc import Collection, Sequence
from itertools import takewhile

from transformers import PreTrainedTokenizerFast


def decode(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    """Return the text of some tokens, without special ones."""
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def decode_until(
    tokenizer: PreTrainedTokenizerFast, ids: list[int], ends: Collection[int], stops: Sequence[str]
) -> str:
    """Return what stands before the first end token, and before the first of the texts that end it."""
    text = decode(tokenizer, list(takewhile(lambda one: one not in ends, ids)))
    return text[: min((at for stop_text in stops if (at := text.find(stop_text)) >= 0), default=None)]
