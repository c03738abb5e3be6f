"""Embeddings of language models and the tokens that they are for."""

from collections.abc import Sequence

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from aigc.errors import InputError
from aigc.models.pretrained import load_tokenizer
from aigc.printing import plural
from aigc.runs.console import log

_SAME = 0.9
"""Share of the tokens that a tokenizer has in common with that of pretrained weights, or it is another one."""


def token_count(tokenizer: PreTrainedTokenizerFast) -> int:
    """Return how many rows embeddings need for a tokenizer, whose ids may have gaps."""
    return max(len(tokenizer), 1 + max(tokenizer.get_vocab().values(), default=0))


def embedding_weights(model: PreTrainedModel) -> list[Tensor]:
    """Return the weights of the token embeddings and of the output layer; a layer in an adapter has none."""
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    return [layer.weight for layer in layers if isinstance(getattr(layer, "weight", None), Tensor)]


def fit_embeddings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, path: str | None) -> list[int]:
    """Give each token that the weights do not know a row which is the mean of those that they know.

    The same whenever it is done again; Transformers would draw rows from a normal distribution around that mean
    (Hewitt, 2021). Rows are added where there are too few, and never taken away: weights often have more than tokens.

    Args:
        model: It is changed.
        tokenizer: The tokenizer that it is trained with.
        path: Where its weights are from, with their own tokenizer perhaps; None for random weights.

    Returns:
        The ids of these tokens.
    """
    before: int = model.get_input_embeddings().num_embeddings
    added = add_rows(model, token_count(tokenizer))
    new = [*range(before, before + added)]
    if path is None:
        return new
    own, ids = _own_tokens(path), tokenizer.get_vocab()
    if own is not None and own.items() <= ids.items() and max(own.values()) < before:
        unused = sorted({*ids.values()} - {*own.values(), *new})
        _set_to_mean(model, unused, sorted({*own.values()}))
        new = unused + new
        if new:
            count = plural(len(new), "token")
            log.info("%s more than the tokenizer of model.path=%s has; their rows begin as the mean", count, path)
    else:
        _log_misfit(path, tokenizer, own, added)
    return new


def add_rows(model: PreTrainedModel, tokens: int) -> int:
    """Add rows to embeddings and output layer, each the mean of the old ones.

    Args:
        model: It is changed where it has fewer rows than there are tokens.
        tokens: Number of rows that are needed.

    Returns:
        The number of rows that were added.
    """
    before: int = model.get_input_embeddings().num_embeddings
    if tokens <= before:
        return 0
    model.resize_token_embeddings(tokens, mean_resizing=False)
    _set_to_mean(model, range(before, tokens), range(before))
    return tokens - before


def _set_to_mean(model: PreTrainedModel, new: Sequence[int], known: Sequence[int]) -> None:
    """Set rows of the embeddings and of the output layer to the mean of others."""
    if not new:
        return
    layers = (model.get_input_embeddings(), model.get_output_embeddings())
    for value in (getattr(layer, name, None) for layer in layers for name in ("weight", "bias")):
        if isinstance(value, Tensor) and len(value) > max(new):
            value.data[list(new)] = value.data[list(known)].double().mean(0).to(value.dtype)


def _own_tokens(path: str) -> dict[str, int] | None:
    try:
        return dict(load_tokenizer(path).get_vocab())
    except InputError:  # the weights came without one
        return None


def _log_misfit(path: str, tokenizer: PreTrainedTokenizerFast, own: dict[str, int] | None, added: int) -> None:
    """Log that weights have too few rows for a tokenizer, or that it is not their own."""
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
    if own is None:
        return
    same = len(own.items() & tokenizer.get_vocab().items())
    if same < _SAME * tokens:
        log.warning(
            "the tokenizer is not that of model.path=%s: %d of its %d tokens are others there, and the pretrained "
            "embeddings are learned anew for them; data.tokenizer.path=%s takes the model's own",
            path,
            tokens - same,
            tokens,
            path,
        )
