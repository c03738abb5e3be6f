"""Embeddings of language models and the tokens that they are for."""

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from aigc.errors import InputError
from aigc.models.pretrained import load_tokenizer
from aigc.runs.console import log

_SAME = 0.9
"""Share of the tokens that a tokenizer has in common with that of pretrained weights, or it is another one."""


def add_rows(model: PreTrainedModel, tokens: int) -> int:
    """Add rows to embeddings and output layer, each the mean of the old ones; the same whenever it is done again.

    Transformers would draw them from a normal distribution around that mean (Hewitt, 2021).

    Args:
        model: It is changed where it has fewer rows than there are tokens.
        tokens: Number of tokens of the tokenizer.

    Returns:
        The number of rows that were added.
    """
    before: int = model.get_input_embeddings().num_embeddings
    if tokens <= before:
        return 0
    model.resize_token_embeddings(tokens, mean_resizing=False)
    layers = (model.get_input_embeddings(), model.get_output_embeddings())
    values = [getattr(layer, name, None) for layer in layers for name in ("weight", "bias")]
    for value in values:
        if isinstance(value, Tensor) and len(value) == tokens:
            value.data[before:] = value.data[:before].double().mean(0).to(value.dtype)
    return tokens - before


def log_misfit(path: str, tokenizer: PreTrainedTokenizerFast, added: int) -> None:
    """Log where a tokenizer does not fit pretrained weights: rows were added for it, or its tokens are others.

    Args:
        path: Where the weights are from, which may have a tokenizer of its own.
        tokenizer: The tokenizer.
        added: Number of rows that were added.
    """
    tokens = len(tokenizer)
    if added:
        log.warning(
            "model.path=%s has embeddings of %d tokens, and the tokenizer has %d: %d untrained rows are added; "
            "most often data.tokenizer.path is not the model's own tokenizer",
            path,
            tokens - added,
            tokens,
            added,
        )
        return
    try:
        own = load_tokenizer(path)
    except InputError:  # the weights came without one
        return
    same = len(own.get_vocab().items() & tokenizer.get_vocab().items())
    if same < _SAME * tokens:
        log.warning(
            "the tokenizer is not that of model.path=%s: %d of its %d tokens are others there, and the pretrained "
            "embeddings are learned anew for them; data.tokenizer.path=%s takes the model's own",
            path,
            tokens - same,
            tokens,
            path,
        )
