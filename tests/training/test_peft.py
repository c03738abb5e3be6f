"""Adapters of PEFT: what is trained, merged and written apart equals PEFT's own computation."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from aigc.config import ConfigError
from aigc.models import TransformersCausalLM
from aigc.models.adapters.base import adapter_of
from aigc.models.adapters.merging import merged_copy
from aigc.tasks import CausalLM
from tests.training.adapted import (
    HERE,
    LAYERS,
    LORA,
    VIRTUAL,
    adapted,
    gradients,
    lines,
    logits,
)
from tests.training.helpers import trainer

CASES = [*((name, "llama") for name in LAYERS | VIRTUAL), ("lora", "gpt2"), ("pissa", "gpt2"), ("head", "gpt2")]


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_base_and_adapter_in_the_layout_of_peft_compute_the_same(name, architecture, trained, bases, tmp_path):
    task, data, ids = trained(name, architecture)
    base = AutoModelForCausalLM.from_pretrained(bases / architecture)
    before, expected = logits(base, ids), logits(task.model, ids)
    assert not torch.allclose(before, expected, atol=1e-3)
    adapter = adapter_of(task.model)
    adapter.kept_apart, kept = True, adapter.kept_apart
    task.save_model(tmp_path / "model")
    adapter.kept_apart = kept
    config = json.loads((tmp_path / "model/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(bases / architecture)
    assert not (tmp_path / "model/model.safetensors").exists()
    theirs = PeftModel.from_pretrained(base, str(tmp_path / "model"))
    torch.testing.assert_close(logits(theirs, ids), expected, atol=1e-6, rtol=1e-5)
    ours = TransformersCausalLM(path=str(bases), adapter=None).from_folder(tmp_path / "model").create(data)
    assert adapter_of(ours) is None
    torch.testing.assert_close(logits(ours, ids), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "architecture"), [case for case in CASES if case[0] in LAYERS])
def test_merged_weights_load_without_the_adapter_and_compute_the_same(name, architecture, trained, tmp_path):
    task, _, ids = trained(name, architecture)
    task.save_model(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(logits(loaded, ids), logits(task.model, ids), atol=1e-5, rtol=1e-4)
    assert json.loads((tmp_path / "merge.json").read_text())["logits_difference"] < 1e-5


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="Linux says there what memory is mapped from")
def test_frozen_weights_stay_in_their_file_so_that_all_runs_on_one_base_hold_them_once(trained, bases):
    task, _, _ = trained("lora", "llama")
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    parts = [line[0].split("-") for line in lines if line[-1] == str(bases / "llama/model.safetensors")]
    assert parts
    trained_weights, frozen = [], []
    for weight in task.model.parameters():
        is_mapped = any(int(start, 16) <= weight.data_ptr() < int(end, 16) for start, end in parts)
        (trained_weights if weight.requires_grad else frozen).append(is_mapped)
    assert all(frozen)
    assert not any(trained_weights)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS | VIRTUAL)
def test_weights_in_bfloat16_may_lie_under_each_adapter(name, bases, tmp_path):
    data = lines(tmp_path)
    torch.manual_seed(0)
    factory = TransformersCausalLM(path=str(bases / "llama"), adapter=(LAYERS | VIRTUAL)[name], dtype="bfloat16")
    task = CausalLM(factory.create(data), partial(torch.optim.AdamW, lr=3e-2))
    trainer(tmp_path, max_steps=3, limit_val_batches=0).fit(task, datamodule=data)
    assert {weight.dtype for weight in task.model.parameters() if weight.requires_grad} == {torch.float32}
    ids = data.example_rows(2)["input_ids"]
    expected = logits(task.model, ids)
    assert expected.dtype == torch.bfloat16
    adapter_of(task.model).kept_apart = True
    task.save_model(tmp_path / "apart")
    found = logits(factory.from_folder(tmp_path / "apart").create(data), ids).float()
    torch.testing.assert_close(found, expected.float(), atol=0.03, rtol=0.02)
    if name in LAYERS:
        merged = task.merged_model()
        assert {weight.dtype for weight in merged.parameters()} == {torch.bfloat16}
        torch.testing.assert_close(logits(merged, ids), expected, atol=0.03, rtol=0.02)


def test_merged_weights_in_bfloat16_are_rounded_once(bases, tmp_path):
    data = lines(tmp_path)
    torch.manual_seed(0)
    model = TransformersCausalLM(path=str(bases / "llama"), adapter=LORA, dtype="bfloat16").create(data)
    for name, weight in model.named_parameters():
        if ".lora_" in name:
            weight.data.normal_(std=0.05)
    layer = model.model.layers[0].self_attn.q_proj
    update = layer.scaling["default"] * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    before = layer.base_layer.weight.detach().clone()
    merged = merged_copy(model)
    found = merged.model.layers[0].self_attn.q_proj.weight
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, (before.float() + update).bfloat16())
    assert not torch.equal(found, before + update.bfloat16()), "rounding twice would give other weights"
    assert 0 < merged.aigc_merge["logits_difference"] < 0.1
    assert torch.equal(layer.base_layer.weight, before), "the model itself stays as it is"


@pytest.mark.parametrize(
    ("node", "key", "told"),
    [
        (LORA | {"target_modules": ["q_proj", "v_prj"]}, "target_modules", ["v_prj", "v_proj?", "down_proj"]),
        (LORA | {"target_modules": "q_proj"}, "target_modules", ["q_proj", "[q_proj]"]),
        (LORA | {"target_modules": "(q_proj"}, "target_modules", ["regular expression"]),
        (LORA | {"target_modules": []}, "target_modules", ["all-linear"]),
        (LORA | {"modules_to_save": ["head"]}, "modules_to_save", ["head", "lm_head"]),
        ({"_target_": f"{HERE}IA3", "target_modules": ["k"]}, "target_modules", ["k_proj"]),
        (VIRTUAL["prompt"] | {"num_virtual_tokens": 9}, "num_virtual_tokens", ["9", "8", "16"]),
    ],
)
def test_what_the_model_does_not_have_is_refused_before_data_are_prepared(node, key, told, bases, tmp_path):
    data = lines(tmp_path)
    factory = TransformersCausalLM(path=str(bases / "llama"), adapter=node)
    for check in (factory.check_data, factory.create):
        with pytest.raises(ConfigError) as caught:
            check(data)
        (problem,) = caught.value.problems
        assert problem.key == f"model.adapter.{key}"
        assert all(word in problem.what for word in told)


def test_only_few_vectors_of_ia3_are_trained_without_weight_decay(trained):
    task, _, _ = trained("ia3")
    (group,) = task.trainer.optimizers[0].param_groups
    assert (group["name"], group["weight_decay"]) == ("vectors", 0.0)
    assert {name.rpartition(".ia3_l")[1] for name in task.saved_weights()} == {".ia3_l"}


def test_the_second_factor_of_lora_plus_has_its_own_rate(bases, tmp_path):
    data = lines(tmp_path)
    task = adapted(bases / "llama", LORA | {"b_lr_ratio": 4.0}, data, lr=1e-2)
    trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(task, datamodule=data)
    rates = {id(one): group["lr"] for group in task.trainer.optimizers[0].param_groups for one in group["params"]}
    for name, weight in task.model.named_parameters():
        if weight.requires_grad:
            assert rates[id(weight)] == pytest.approx(4e-2 if ".lora_B." in name else 1e-2)


def test_gradients_of_an_adapter_are_the_same_with_activation_checkpointing(bases, tmp_path):
    data, found = lines(tmp_path), []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = TransformersCausalLM(path=str(bases / "llama"), adapter=LORA).create(data)
        task = CausalLM(model, torch.optim.AdamW, activation_checkpointing=checkpointing)
        torch.manual_seed(1)
        found.append(gradients(task, data))
    assert found[0].keys() == found[1].keys() == task.saved_weights()
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("name", "whole"), [("lora", True), ("prompt", False), ("prefix", False)])
def test_the_loss_is_chunked_only_where_layers_and_output_are_the_whole_network(name, whole, trained):
    task, data, _ = trained(name)
    batch = next(iter(data.train_dataloader()))
    with torch.no_grad():
        expected = task.loss(batch)
    assert (task._output_layer is not None) == whole
    if whole:
        task.chunked_loss = True
        try:
            torch.testing.assert_close(task.loss(batch).detach(), expected, atol=1e-4, rtol=1e-6)
        finally:
            task.chunked_loss = None
