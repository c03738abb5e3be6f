"""Documents of one row that do not see each other: what a causal language model is given for that."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.masking_utils import create_masks_for_generate

_LENGTH = 8
"""Tokens of each of the two documents that a network is tried on."""


class Isolation(ABC):
    """A way to keep the documents of a row apart, which suits an attention implementation and a family of models."""

    def inputs(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the network is called with besides the token ids.

        Args:
            model: The network.
            batch: `position_ids` and `segment_ids`, each (rows, length) int64.
        """
        return {"position_ids": batch["position_ids"], "attention_mask": self.mask(model, batch)}

    @abstractmethod
    def mask(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Any:
        """Return the attention mask, in the form that the network takes."""


class DenseMask(Isolation):
    """A boolean mask for SDPA; it stands for that of all layers, and no layer may have a window of its own."""

    def mask(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
        """Return (rows, 1, length, length) bool."""
        return document_mask(batch["segment_ids"])


class LayerMasks(Isolation):
    """Masks that Transformers makes for each kind of layer (full, sliding window, chunked) and each implementation.

    For eager attention they are added to the scores, for flex attention they are block masks.
    """

    def mask(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> Any:
        """Return one mask, or one for each kind of layer by its name."""
        segments = batch["segment_ids"]
        like = torch.empty(*segments.shape, 0, dtype=model.dtype, device=segments.device)
        if _text(model).get("attention_chunk_size"):  # chunks begin anew in each document, which waits for the device
            positions = batch["position_ids"]
            return create_masks_for_generate(model.config, like, None, None, position_ids=positions)

        def same(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            found: Tensor = segments[row, query] == segments[row, key]
            return found

        return create_masks_for_generate(model.config, like, None, None, and_mask_function=same)


class Positions(Isolation):
    """Position ids alone, which begin anew in each document; the network makes its masks from them.

    Transformers looks at them only where there is neither a mask nor a cache (transformers#46634).
    """

    def mask(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> None:
        """Return no mask."""


class Boundaries(Isolation):
    """The first token of each document, for the variable-length kernels of flash attention; there is no mask."""

    def inputs(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return positions, and the boundaries in the rows laid end to end; the padding of a row is one more document.

        `batch["documents"]` counts these, if it is there; otherwise the host waits for the device.
        """
        segments = batch["segment_ids"]
        first = torch.ones_like(segments, dtype=torch.bool)
        first[:, 1:] = segments[:, 1:] != segments[:, :-1]
        count = batch.get("documents")
        if count is None:
            count = int(first.sum())
        starts = torch.nonzero_static(first.flatten(), size=count).flatten()
        ends = starts.new_full((1,), segments.numel())
        boundaries = torch.cat([starts, ends]).to(torch.int32)
        return super().inputs(model, batch) | {
            "cu_seq_lens_q": boundaries,
            "cu_seq_lens_k": boundaries,
            "max_length_q": segments.shape[1],  # that of the longest document would have to be read from the device
            "max_length_k": segments.shape[1],
        }

    def mask(self, model: PreTrainedModel, batch: Mapping[str, Any]) -> None:
        """Return no mask."""


def document_mask(segments: Tensor) -> Tensor:
    """Return which tokens each token sees, (rows, 1, length, length) bool: those before it in its own document.

    Args:
        segments: Number of the document of each token, (rows, length).
    """
    length = segments.shape[1]
    same = segments[:, :, None] == segments[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    return (same & causal)[:, None]


def candidates(model: PreTrainedModel) -> Iterator[Isolation]:
    """Yield the ways that may keep documents apart in a network as it is now, the best one first."""
    implementation = str(model.config._attn_implementation)
    if "flash" in implementation:
        yield Boundaries()
        return
    if implementation == "sdpa" and not _has_windows(model):
        yield DenseMask()
    yield LayerMasks()
    yield Positions()


def find_isolation(model: PreTrainedModel) -> Isolation | None:
    """Return the first way that keeps documents apart in this very network; None if there is none.

    Each is tried on rows of two documents. State-space layers, for example, carry one document into the next.
    """
    was_training = model.training
    model.eval()
    try:
        return next((one for one in candidates(model) if isolates(model, one)), None)
    finally:
        model.train(was_training)


@torch.no_grad()
def isolates(model: PreTrainedModel, isolation: Isolation) -> bool:
    """Return whether the logits of two documents in a row are those of each by itself, and do not know the other.

    Args:
        model: The network, in evaluation mode.
        isolation: What is tried.
    """
    embeddings = model.get_input_embeddings()
    ids = torch.arange(3 * _LENGTH, device=embeddings.weight.device) % embeddings.num_embeddings
    first, other, second = ids.reshape(3, _LENGTH)
    alone = model(input_ids=torch.stack([first, second]), use_cache=False).logits.float()
    rows = torch.stack([torch.cat([first, second]), torch.cat([other, second])])
    batch = {
        "position_ids": torch.arange(_LENGTH, device=ids.device).repeat(2, 2),
        "segment_ids": torch.tensor([1, 2], device=ids.device).repeat_interleave(_LENGTH).repeat(2, 1),
    }
    try:
        packed = model(input_ids=rows, use_cache=False, **isolation.inputs(model, batch)).logits.float()
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return False  # the network takes no such mask
    leak, change = (1e-5, 1e-4) if model.dtype == torch.float32 else (1e-2, 1e-1)
    scale = alone.std()
    leaks = (packed[0, _LENGTH:] - packed[1, _LENGTH:]).abs().max()
    changes = (packed[0] - alone.flatten(0, 1)).abs().max()
    return bool((leaks <= leak * scale) & (changes <= change * scale))


def isolation_of(model: PreTrainedModel) -> Isolation | None:
    """Return the way that was found for a network; where none was looked for, the first that may be right."""
    if hasattr(model, "aigc_isolation"):
        found: Isolation | None = model.aigc_isolation
        return found
    return next(candidates(model))


def _has_windows(model: PreTrainedModel) -> bool:
    """Return whether some layers see only a part of what is before a token, by their own masks."""
    config = _text(model)
    kinds = {*(config.get("layer_types") or ())}
    return bool(config.get("sliding_window") or config.get("attention_chunk_size") or kinds - {"full_attention"})


def _text(model: PreTrainedModel) -> dict[str, Any]:
    return dict(vars(model.config.get_text_config()))
