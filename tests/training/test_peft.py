"""Adapters of PEFT: what is trained, resumed, merged and written apart equals PEFT's own computation."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from aigc.config import ConfigError
from aigc.errors import InputError
from aigc.models import TransformersCausalLM, TransformersModel
from aigc.models.adapters.base import adapter_of
from aigc.models.adapters.merging import merged_copy
from aigc.tasks import CausalLM
from tests.training.helpers import SETTINGS, text_data, trainer
from tests.training.resumable import CHARACTERS, TASKS, Resumable, differences, final_state, rows, train

ROW = 8
HERE = "aigc.models.adapters."
LORA = {"_target_": f"{HERE}LoRA", "rank": 2}
LAYERS = {
    "lora": LORA | {"dropout": 0.1},
    "rslora": LORA | {"use_rslora": True, "target_modules": ["q_proj", "embed_tokens"]},
    "dora": LORA | {"use_dora": True},
    "pissa": LORA | {"init": "pissa"},
    "pissa_niter": LORA | {"init": "pissa_niter_4", "use_rslora": True},
    "head": LORA | {"modules_to_save": ["lm_head"]},
    "ia3": {"_target_": f"{HERE}IA3"},
    "vera": {"_target_": f"{HERE}VeRA", "rank": 4},
}
VIRTUAL = {
    "prompt": {"_target_": f"{HERE}PromptTuning", "num_virtual_tokens": 3},
    "prefix": {"_target_": f"{HERE}PrefixTuning", "num_virtual_tokens": 3},
    "projected": {"_target_": f"{HERE}PrefixTuning", "num_virtual_tokens": 3, "projection": True},
}


def lines(folder, **settings):
    texts = [CHARACTERS[i : i + 5 + i % 4] for i in range(32)]
    return text_data(folder, texts, **({"sequence_length": ROW, "packing": False, "batch_size": 3} | settings))


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Folders with pretrained weights by architecture, with room for virtual tokens."""
    place = tmp_path_factory.mktemp("bases")
    for name in ("llama", "gpt2"):
        torch.manual_seed(0)
        settings = SETTINGS[name] | {"max_position_embeddings": 2 * ROW}
        TransformersCausalLM(architecture=name, settings=settings).create(lines(place)).save_pretrained(place / name)
    return place


def adapted(base, node, data, lr=3e-2):
    torch.manual_seed(0)
    model = TransformersCausalLM(path=str(base), adapter=node).create(data)
    return CausalLM(model, partial(torch.optim.AdamW, lr=lr))


@pytest.fixture(scope="module")
def trained(bases, tmp_path_factory):
    """Train a kind of adapter once; returns its task and what is compared."""
    data, made = lines(tmp_path_factory.mktemp("data")), {}

    def make(name, architecture="llama"):
        if (name, architecture) not in made:
            task = adapted(bases / architecture, (LAYERS | VIRTUAL)[name], data)
            place = tmp_path_factory.mktemp(name)
            trainer(place, max_steps=6, limit_val_batches=0).fit(task, datamodule=data)
            made[name, architecture] = task.eval()
        return made[name, architecture], data, data.example_rows(2)["input_ids"]

    return make


def logits(model, ids):
    with torch.no_grad():
        return model.eval()(ids, attention_mask=torch.ones_like(ids)).logits[:, -ids.shape[1] :]


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


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("name", VIRTUAL)
def test_texts_after_virtual_tokens_are_those_of_peft_and_of_each_prompt_alone(
    name, architecture, trained, bases, tmp_path
):
    task, _, ids = trained(name, architecture)
    task.save_model(tmp_path)
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(bases / architecture), str(tmp_path)).eval()
    mask = torch.ones_like(ids)
    mask[0, :3], ids = 0, ids.clone()
    ids[0, :3] = 0
    settings = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    found = task.model.generate(input_ids=ids, attention_mask=mask, **settings)
    assert torch.equal(found, theirs.generate(input_ids=ids, attention_mask=mask, **settings))
    assert torch.equal(found, task.model.generate(input_ids=ids, attention_mask=mask, use_cache=False, **settings))
    alone = task.model.generate(input_ids=ids[:1, 3:], attention_mask=mask[:1, 3:], **settings)
    assert torch.equal(found[0, 3:], alone[0])


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


@pytest.mark.parametrize("name", ["prompt", "prefix"])
def test_virtual_tokens_need_rows_of_one_text(name, bases, trained, tmp_path):
    packed = lines(tmp_path, packing=True)
    with pytest.raises(ConfigError, match=r"data\.packing"):
        TransformersCausalLM(path=str(bases / "llama"), adapter=VIRTUAL[name]).check_data(packed)
    task, data, _ = trained(name)
    task.save_model(tmp_path / "model")
    factory = TransformersCausalLM(path=str(bases / "llama"), adapter=VIRTUAL[name]).from_folder(tmp_path / "model")
    factory.check_data(data)
    with pytest.raises(ConfigError, match=r"data\.packing"):
        factory.check_data(packed)


def test_virtual_tokens_are_for_causal_models(tmp_path):
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "num_hidden_layers": 1}
    data = lines(tmp_path)
    TransformersModel("MaskedLM", "bert", settings=sizes | {"max_position_embeddings": 32}).create(
        data
    ).save_pretrained(tmp_path / "bert")
    with pytest.raises(ConfigError, match=r"model\.adapter.*causal"):
        TransformersModel("MaskedLM", path=str(tmp_path / "bert"), adapter=VIRTUAL["prompt"]).check_data(data)


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
