"""Which matrices are tables of vectors: an optimiser of hidden matrices must leave them to another."""

from collections.abc import Iterable

from torch import Tensor, nn

_MARK = "aigc_is_embedding"


def mark_embeddings(network: nn.Module, heads: Iterable[Tensor] = ()) -> None:
    """Mark the weights of all embedding layers, and those of output layers that are given."""
    # Not layer.weight: reading that of a layer with spectral normalisation takes a step of its power iteration.
    tables = [one for layer in network.modules() if isinstance(layer, nn.Embedding) for one in layer.parameters()]
    for weight in (*tables, *heads):
        setattr(weight, _MARK, True)


def is_embedding(weight: Tensor) -> bool:
    """Return whether `mark_embeddings` has marked a weight."""
    return bool(getattr(weight, _MARK, False))
