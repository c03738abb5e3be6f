"""What a finished run writes of a network, with an adapter or without."""

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from aigc.models.adapters.base import adapter_of
from aigc.models.adapters.merging import MERGE_FILE, merged_copy


def save_language_model(model: PreTrainedModel, folder: Path) -> None:
    """Write a network in the layout of Transformers, an adapter merged, or apart in that of PEFT where it says so."""
    adapter = adapter_of(model)
    if adapter is not None and adapter.kept_apart:
        from aigc.models.adapters.apart import save_apart  # PEFT takes seconds to import

        save_apart(adapter, model, folder)
        return
    merged: Any = merged_copy(model)
    merged.save_pretrained(folder, safe_serialization=True)
    if adapter is not None:
        (folder / MERGE_FILE).write_text(json.dumps(merged.aigc_merge, indent=2) + "\n", encoding="utf-8")
