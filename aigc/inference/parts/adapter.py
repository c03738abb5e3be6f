"""Export of an adapter alone, in the layout of PEFT."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from peft import PeftModel
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file
from transformers import AutoTokenizer, PreTrainedModel

from aigc.errors import InputError
from aigc.inference.base import Comparison
from aigc.inference.parts.card_usage import adapter_usage
from aigc.inference.parts.checkpoint import best_or_last, load_task
from aigc.inference.parts.model_card import Described, write_card
from aigc.launch import data_state
from aigc.models.adapters.apart import save_apart
from aigc.models.adapters.base import adapter_of
from aigc.models.adapters.peft import without_warnings
from aigc.models.probe import fixed_logits, fixed_tokens, largest_difference
from aigc.printing import plural
from aigc.runs import Run

_ALLOWED = {"float32": 1e-5}
"""Allowed difference for values of size 1 by the type of the base model's weights."""


def export_adapter(
    run: Run, folder: Path, checkpoint: str | None, pipeline: str | None, hand_on: Callable[[Any, Path], str]
) -> Comparison:
    """Write the adapter of a checkpoint, load it with PEFT on a base model read again, and compare logits.

    Args:
        run: The run.
        folder: Where.
        checkpoint: last, best or step-N; None takes the one that a finished run leaves the model of.
        pipeline: What the Hub calls that which the model does, for the card.
        hand_on: Writes how prompts are made, given the data and the folder, and returns what the card says of it.

    Raises:
        InputError: The run has no adapter, or no such checkpoint.
    """
    if (run.config.get("model") or {}).get("adapter") is None:
        raise InputError(f"--format peft is for adapters, and {run.id} has trained all weights; leave it out")
    task, data, step = load_task(run, checkpoint or best_or_last(run))
    model: PreTrainedModel = task.model
    adapter = adapter_of(model)
    assert adapter is not None
    save_apart(adapter, model, folder)
    data.tokenizer.save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    data_state.write(data.state_dict(), folder)
    weights = load_file(folder / SAFETENSORS_WEIGHTS_NAME).values()
    usage = "\n\n".join(filter(None, (adapter_usage(type(model).__name__), hand_on(data, folder))))
    size = sum(one.numel() for one in weights)
    write_card(run, Described(type(adapter).__name__, size, usage, pipeline, step, "peft"), folder)
    ids = fixed_tokens(model.config)
    expected = fixed_logits(model, ids)
    found = fixed_logits(_reloaded(run, data, folder), ids)[:, -ids.shape[1] :]
    allowed = _ALLOWED.get(str(model.dtype).removeprefix("torch."), 1e-2) * max(1.0, float(expected.abs().max()))
    what = f"logits of {plural(ids.numel(), 'fixed token')}, the adapter written and loaded by PEFT"
    return Comparison(what, largest_difference(expected, found), allowed)


def _reloaded(run: Run, data: Any, folder: Path) -> Any:
    """Return PEFT's model of the adapter on a base model that is read again."""
    from aigc.config import build
    from aigc.models import TransformersModel

    factory = build(run.config.model, TransformersModel, "model")
    factory.adapter = None
    base = factory.create(data)
    with without_warnings():
        return PeftModel.from_pretrained(base, str(folder))
