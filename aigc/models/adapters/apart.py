"""Folders that hold an adapter alone, in PEFT's layout, and the base model that it belongs to."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file
from transformers import AutoConfig, PreTrainedModel

from aigc.errors import InputError
from aigc.models.adapters.base import Adapter, base_digest_of
from aigc.models.adapters.merging import base_path, note_merge, probe
from aigc.models.adapters.peft import merge_layers, put_on, without_warnings
from aigc.models.adapters.virtual_tokens import prepend
from aigc.models.embeddings import add_rows, fit_embeddings
from aigc.models.pretrained import load_tokenizer
from aigc.models.quantised import quantised_kind
from aigc.models.weights import digest_of
from aigc.runs.files import read_mapping

ADAPTER_CONFIG = "adapter_config.json"
BASE = "base.json"
"""Names the base model, its digest and the type of its weights."""


def save_apart(adapter: Adapter, model: PreTrainedModel, folder: Path) -> None:
    """Write an adapter alone, the configuration of its network, and which base model it belongs to."""
    adapter.save(model, folder)
    config = json.loads((folder / ADAPTER_CONFIG).read_text("utf-8"))
    config["base_model_name_or_path"] = path = base_path(model)
    (folder / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    model.config.save_pretrained(folder)
    if model.can_generate() and model.generation_config is not None:
        model.generation_config.save_pretrained(folder)
    if hasattr(model.config, "quantization_config"):  # it says how the base model is read, and is in BASE
        described = json.loads((folder / "config.json").read_text("utf-8"))
        del described["quantization_config"]
        (folder / "config.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    base = {"path": path, "digest": base_digest_of(model), "dtype": str(model.dtype).removeprefix("torch.")}
    base["quantised"] = quantised_kind(model)
    (folder / BASE).write_text(json.dumps(base, indent=2) + "\n", encoding="utf-8")


def load_apart(folder: Path, read: Callable[[Mapping[str, Any], Any], PreTrainedModel], dtype: Any) -> PreTrainedModel:
    """Load an adapter with its base model, merged in float32; virtual tokens stay what they are.

    Args:
        folder: The adapter's.
        read: Reads the base model, given what `save_apart` has written of it, and its configuration, in which the
            number of tokens may be larger.
        dtype: The type of the merged weights.

    Raises:
        InputError: The base model is not there, or another one is in its place; or the folder is damaged.
    """
    base = _read_base(folder)
    path, config = str(base["path"]), AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    rows = config.vocab_size
    try:
        model = read(base, config)
    except (OSError, InputError) as error:
        what = f"the base model {path} of the adapter in {folder} cannot be read: {' '.join(str(error).split())}"
        raise InputError(f"{what}. Put it back, or change `path` in {folder / BASE}") from error
    try:
        fit_embeddings(model, load_tokenizer(str(folder)), path)
    except InputError:  # the folder has no tokenizer of its own
        add_rows(model, rows)
    if (found := digest_of(model)) != base["digest"]:
        raise InputError(
            f"the adapter in {folder} belongs to a base model with digest {str(base['digest'])[:12]}, and that of "
            f"{path} is {found[:12]}: its weights are others. Put the base model back as it was"
        )
    settings = PeftConfig.from_pretrained(str(folder))
    if settings.is_prompt_learning:
        with without_warnings():
            wrapper = PeftModel.from_pretrained(model, str(folder))
        model.__dict__["aigc_peft"] = wrapper
        prepend(model, wrapper)
        return model
    settings.inference_mode = False
    if not base["quantised"]:
        model.to(torch.promote_types(dtype, model.dtype))  # merged weights are rounded to the asked type alone
    wrapper = put_on(model, settings, load_file(folder / SAFETENSORS_WEIGHTS_NAME))
    before = probe(model)
    merge_layers(model, wrapper)
    note_merge(model, before, {"base": path, "base_digest": found})
    return model.to(dtype).requires_grad_(True)


def _read_base(folder: Path) -> dict[str, Any]:
    try:
        base = read_mapping(folder / BASE)
        return {name: base[name] for name in ("path", "digest", "dtype", "quantised")}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder / BASE}, which names the adapter's base model, cannot be read: {error}") from error
