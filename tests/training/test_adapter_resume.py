"""Runs with an adapter of PEFT resume from small checkpoints, on the base that they belong to."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from aigc.errors import InputError
from aigc.models import TransformersCausalLM
from aigc.models.adapters.merging import merged_copy
from tests.training.adapted import (
    LAYERS,
    LORA,
    adapted,
    lines,
    logits,
)
from tests.training.helpers import trainer
from tests.training.resumable import TASKS, Resumable, differences, final_state, rows, train


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dora", "pissa"])
def test_an_adapter_resumes_to_the_bit_from_its_own_weights(name, bases, tmp_path, monkeypatch):
    def make(folder, workers=0):
        data = lines(folder)
        return data, adapted(bases / "llama", LAYERS[name] | {"dropout": 0.2}, data)

    monkeypatch.setitem(TASKS, "other_adapter", Resumable(make, 1))
    assert train("other_adapter", tmp_path / "whole")
    assert not train("other_adapter", tmp_path / "stopped", signal_at_batch=14)
    assert train("other_adapter", tmp_path / "stopped")
    state = final_state(tmp_path / "whole")
    assert differences(final_state(tmp_path / "stopped"), state) == []
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")
    parts = {"lora_A", "lora_B", *({"initial_A", "initial_B"} if name == "pissa" else {"lora_magnitude_vector"})}
    assert {part for weight in state["state_dict"] for part in weight.split(".")} & parts == parts
    assert not any("base_layer" in weight for weight in state["state_dict"])
    if name == "dora":  # without its weights, or its optimiser's, no run goes on
        for key, error in [("state_dict", RuntimeError), ("optimizer_states", KeyError)]:
            shutil.copytree(tmp_path / "stopped", tmp_path / key)

            def lose(checkpoint, key=key):
                checkpoint[key] = {} if key == "state_dict" else checkpoint.pop(key) and None
                if checkpoint[key] is None:
                    del checkpoint[key]

            with pytest.raises(error):
                train("other_adapter", tmp_path / key, change=lose)


def test_factors_that_another_machine_took_out_of_the_weights_are_taken_out_when_they_are_loaded(trained, bases):
    task, data, ids = trained("pissa")
    other = adapted(bases / "llama", LAYERS["pissa"], data)
    checkpoint = {name: task.state_dict()[name].clone() for name in task.saved_weights()}
    turn = torch.linalg.qr(torch.randn(2, 2))[0]  # the same product by other factors, and a part that is not principal
    for name in [one.removesuffix("initial_A") for one in checkpoint if one.endswith("initial_A")]:
        for first, second in (("initial_A", "initial_B"), ("lora_A.default.weight", "lora_B.default.weight")):
            checkpoint[name + first] = turn @ checkpoint[name + first] * 1.01
            checkpoint[name + second] = checkpoint[name + second] @ turn.T
    assert not torch.allclose(logits(other.model, ids), logits(task.model, ids), atol=1e-3)
    other.load_state_dict(checkpoint)
    base = adapted(bases / "llama", LAYERS["pissa"], data)
    for (_, weight), (name, expected) in zip(
        merged_weights(other.model), merged_weights_of(base.model, checkpoint), strict=True
    ):
        torch.testing.assert_close(weight, expected, atol=1e-5, rtol=1e-4, msg=name)


def merged_weights(model):
    return [(name, one) for name, one in merged_copy(model).named_parameters() if name.endswith("proj.weight")]


def merged_weights_of(model, checkpoint):
    """W - s B0 A0 + s B A from the weights themselves."""
    for name, layer in model.named_modules():
        if hasattr(layer, "initial_A"):
            scale = layer.scaling["default"]
            whole = layer.base_layer.weight + scale * layer.initial_B @ layer.initial_A
            first, second = (
                checkpoint[f"model.{name}.{b}"] @ checkpoint[f"model.{name}.{a}"]
                for b, a in (("lora_B.default.weight", "lora_A.default.weight"), ("initial_B", "initial_A"))
            )
            yield f"{name}.weight", whole + scale * (first - second)


def test_an_adapter_kept_apart_needs_its_own_base(trained, bases, tmp_path):
    _, data, _ = trained("lora")
    base = shutil.copytree(bases / "llama", tmp_path / "base")
    other = adapted(base, LORA | {"merge": False}, data)
    other.save_model(tmp_path / "model")
    factory = TransformersCausalLM(path=str(base)).from_folder(tmp_path / "model")
    assert all(one.requires_grad for one in factory.create(data).parameters())
    changed = AutoModelForCausalLM.from_pretrained(base)
    changed.model.embed_tokens.weight.data[0, 0] += 1e-3
    changed.save_pretrained(base)
    with pytest.raises(InputError, match="others"):
        factory.create(data)
    shutil.rmtree(base)
    with pytest.raises(InputError, match=base.name):
        factory.create(data)


def mapped(path):
    """The address ranges at which a file lies in the memory of this process."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(path))]
    return [tuple(int(end, 16) for end in line[0].split("-")) for line in lines]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/maps")
def test_runs_from_one_base_share_its_frozen_weights_in_memory(bases, tmp_path):
    """They are never copied, so that each process has the same pages of the file."""
    data = lines(tmp_path)
    task = adapted(bases / "llama", LORA, data)
    trainer(tmp_path, max_steps=2, limit_val_batches=0).fit(task, datamodule=data)
    ranges = mapped(bases / "llama/model.safetensors")
    inside = {
        name: any(begin <= weight.data_ptr() < end for begin, end in ranges)
        for name, weight in task.model.named_parameters()
    }
    assert inside == {name: ".lora_" not in name for name in inside}
