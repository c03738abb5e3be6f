"""What a network with an adapter leaves behind: merged weights, or the adapter alone."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from aigc.models.adapters.base import adapter_of, base_digest_of
from aigc.models.gguf_files import gguf_file
from aigc.models.pretrained import local_folder
from aigc.models.probe import fixed_logits, fixed_tokens, largest_difference
from aigc.runs.files import read_mapping

MERGE_FILE = "merge.json"
"""Beside merged weights: which base model they were merged with, and how far their logits are from those before."""


def merged_copy(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy of a network with merged weights; the network itself where no adapter can be merged.

    The largest difference of its logits is noted in it; `merge_note` says what it is.
    """
    adapter = adapter_of(model)
    if adapter is None or not adapter.mergeable:
        return model
    merged: Any = deepcopy(model)
    del merged.aigc_adapter
    before = probe(model)
    adapter.merge(merged)
    note_merge(merged, before, {"base": base_path(model), "base_digest": base_digest_of(model)})
    found: PreTrainedModel = merged
    return found


def probe(model: PreTrainedModel) -> Tensor:
    """Return logits of fixed tokens."""
    return fixed_logits(model, fixed_tokens(model.config))


def note_merge(model: Any, before: Tensor, base: dict[str, Any]) -> None:
    """Note in a network with merged weights how far its logits are from those that `probe` gave before."""
    difference = largest_difference(before, probe(model))
    model.aigc_merge = base | {"dtype": str(model.dtype).removeprefix("torch."), "logits_difference": difference}


def merge_note(model: Any, folder: Path) -> str:
    """Return how far merged weights are from base and adapter; empty where nothing was merged.

    Args:
        model: What `merged_copy` returned, or a model that was loaded from a folder.
        folder: What `save_language_model` wrote.
    """
    found = getattr(model, "aigc_merge", None)
    if not found:
        try:
            found = read_mapping(folder / MERGE_FILE)
        except (OSError, ValueError):
            return ""
    difference = found.get("logits_difference", float("nan"))
    stored = f"merged in float32 and stored in {found.get('dtype')}"
    return f"logits of base and adapter, {stored}: largest difference {difference:g}"


def base_path(model: PreTrainedModel) -> str:
    """Return where the base model of a network is from: a folder, a GGUF file, or a name on the Hub."""
    path = str(getattr(model, "aigc_path", None) or model.name_or_path)
    place = (local_folder(path) or gguf_file(path)) if path else None
    return str(place.resolve()) if place else path
