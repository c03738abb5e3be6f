"""Embeddings of language models that have as many rows as the tokenizer has tokens."""

from torch import Tensor
from transformers import PreTrainedModel

from aigc.runs.console import log


def add_rows(model: PreTrainedModel, tokens: int, path: str | None = None) -> None:
    """Add rows to embeddings and output layer, each the mean of the old ones; the same whenever it is done again.

    Transformers would draw them from a normal distribution around that mean (Hewitt, 2021).

    Args:
        model: It is changed where it has fewer rows than there are tokens.
        tokens: Number of tokens of the tokenizer.
        path: Where pretrained weights are from, which a message then names; None for random ones.
    """
    before = model.get_input_embeddings().num_embeddings
    if tokens <= before:
        return
    if path is not None:
        log.warning(
            "model.path=%s has embeddings of %d tokens, and the tokenizer has %d: %d untrained rows are added; "
            "most often data.tokenizer.path is not the model's own tokenizer",
            path,
            before,
            tokens,
            tokens - before,
        )
    model.resize_token_embeddings(tokens, mean_resizing=False)
    layers = (model.get_input_embeddings(), model.get_output_embeddings())
    values = [getattr(layer, name, None) for layer in layers for name in ("weight", "bias")]
    for value in values:
        if isinstance(value, Tensor) and len(value) == tokens:
            value.data[before:] = value.data[:before].double().mean(0).to(value.dtype)
