"""Frozen parameters, and groups with learning rates of their own, by patterns of names."""

from functools import partial

import pytest
import torch
from transformers import LlamaForCausalLM

from aigc.config import ConfigError
from aigc.distributed.sharding import ShardedData
from aigc.errors import InputError
from aigc.models import TransformersCausalLM
from aigc.optim.groups import layer_depths, matches
from aigc.tasks import CausalLM
from tests.training.helpers import text_data, tiny_model, trainer
from tests.training.resumable import TASKS, Resumable, differences, final_state, train

LR = 1e-2
TEXTS = ["abcdefgh"[n % 5 :] + "abcdefgh" * 3 for n in range(40)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return text_data(
        tmp_path_factory.mktemp("data"), ["abcdefgh"[n % 5 :] + "abcdefgh" * 3 for n in range(40)], sequence_length=16
    )


@pytest.fixture
def step(data, tmp_path):
    """Take one step, and return the task, what the weights were before, and the rate of each weight."""

    def take(architecture="llama", **settings):
        model = tiny_model(data, architecture)
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        task = CausalLM(model, partial(torch.optim.AdamW, lr=LR), **settings)
        trainer(tmp_path, max_steps=1, limit_val_batches=0, log_every_n_steps=1).fit(task, datamodule=data)
        groups = task.trainer.optimizers[0].param_groups
        rates = {id(weight): group["lr"] for group in groups for weight in group["params"]}
        return task, before, {name: rates.get(id(weight)) for name, weight in model.named_parameters()}

    return take


def test_frozen_weights_stay_as_they_are_and_others_learn(step):
    task, before, rates = step(freeze=["model.embed_tokens", "*.layers.0.*", "*norm.weight"])
    for name, weight in task.model.named_parameters():
        frozen = "embed_tokens" in name or ".layers.0." in name or name.endswith("norm.weight")
        assert torch.equal(weight, before[name]) == frozen
        assert (rates[name] is None) == frozen


def test_rates_multiply_where_several_names_match(step):
    _, _, rates = step(learning_rates=[["model.layers.1", 0.5], ["*.mlp.*", 0.1]])
    for name, rate in rates.items():
        factor = (0.5 if ".layers.1." in name else 1) * (0.1 if ".mlp." in name else 1)
        assert rate == pytest.approx(LR * factor)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_the_rate_falls_with_each_layer_below_the_output(architecture, step):
    task, _, rates = step(architecture, layer_decay=0.5)
    first, second = (".h.0.", ".h.1.") if architecture == "gpt2" else (".layers.0.", ".layers.1.")
    inputs = ("wte", "wpe", "embed_tokens")
    for name, rate in rates.items():
        depth = 2 if first in name else 1 if second in name else 3 if any(one in name for one in inputs) else 0
        assert rate == pytest.approx(LR * 0.5**depth), name
    assert task.latest["train/learning_rate"] == LR


def test_names_without_layers_have_no_depth():
    assert layer_depths(["a.weight", "b.0.weight", "b.1.weight", "c.weight"]) == {
        "a.weight": 3,
        "b.0.weight": 2,
        "b.1.weight": 1,
        "c.weight": 0,
    }
    with pytest.raises(ConfigError, match=r"task\.layer_decay"):
        layer_depths(["a.weight"])


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"freeze": ["model.embed_token"]}, "task.freeze"),
        ({"learning_rates": [["lm_heads", 2]]}, "task.learning_rates"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_those_that_are(settings, key, data, step):
    with pytest.raises(ConfigError) as caught:
        step(**settings)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert "model.embed_tokens.weight" in problem.what
    assert "model.layers.*.mlp.up_proj.weight" in problem.what


def test_something_must_be_left_to_train(data):
    with pytest.raises(ConfigError, match=r"task\.freeze"):
        CausalLM(tiny_model(data), partial(torch.optim.AdamW, lr=LR), freeze=["*"])


def test_groups_of_runs_without_these_settings_are_those_of_older_checkpoints(step):
    task, _, _ = step("gpt2")
    groups = task.trainer.optimizers[0].param_groups
    assert [group["name"] for group in groups] == ["embeddings", "matrices", "vectors"]
    named = {id(weight): name for name, weight in task.model.named_parameters()}
    names = [[named[id(weight)] for weight in group["params"]] for group in groups]
    every = [name for name, _ in task.model.named_parameters()]
    assert names[0] == ["transformer.wte.weight"]
    assert names[1] == [name for name in every if name not in names[0] and task.model.get_parameter(name).ndim == 2]
    assert names[2] == [name for name in every if task.model.get_parameter(name).ndim == 1]
    assert not any({"kind", "factor"} & group.keys() for group in groups)


def test_a_pattern_matches_a_name_or_a_module_that_holds_it():
    assert matches("a.b.weight", "a.b")
    assert matches("a.b.weight", "a")
    assert matches("a.b.weight", "*.b.*")
    assert not matches("a.bc.weight", "a.b")


def frozen_task(folder, data, freeze=("model.embed_tokens", "*.layers.0")):
    if not folder.exists():
        tiny_model(data, "llama").save_pretrained(folder)
    torch.manual_seed(0)
    model = TransformersCausalLM(path=str(folder)).create(data)
    return CausalLM(model, partial(torch.optim.AdamW, lr=LR), freeze=freeze)


def test_checkpoints_leave_out_pretrained_weights_that_are_frozen(data, tmp_path, monkeypatch):
    def make(folder, workers=0):
        rows = text_data(folder, TEXTS, sequence_length=16, batch_size=3)
        return rows, frozen_task(tmp_path / "base", rows)

    monkeypatch.setitem(TASKS, "frozen", Resumable(make, 1))
    assert train("frozen", tmp_path / "whole")
    assert not train("frozen", tmp_path / "stopped", signal_at_batch=14)
    assert train("frozen", tmp_path / "stopped")
    state = final_state(tmp_path / "whole")
    assert differences(final_state(tmp_path / "stopped"), state) == []
    names = {name.removeprefix("model.") for name in state["state_dict"]}
    every = make(tmp_path / "again")[1].model.state_dict().keys()
    assert every - names == {name for name in every if "embed_tokens" in name or ".layers.0." in name}
    task = frozen_task(tmp_path / "base", data)
    task.load_checkpoint(state)
    assert not torch.equal(task.model.lm_head.weight, frozen_task(tmp_path / "base", data).model.lm_head.weight)
    task.trainer = trainer(tmp_path)
    task.trainer._accelerator_connector.strategy = ShardedData(2)
    assert (task.saved_weights(), task.base_digest()) == (None, None), "shards hold all weights"
    changed = LlamaForCausalLM.from_pretrained(tmp_path / "base")
    changed.model.embed_tokens.weight.data[0, 0] += 1e-3
    changed.save_pretrained(tmp_path / "base")
    with pytest.raises(InputError, match=r"model\.path"):
        frozen_task(tmp_path / "base", data).load_checkpoint(state)


def test_checkpoints_hold_all_random_weights_and_all_that_an_adapter_began_with(data, tmp_path):
    task = CausalLM(tiny_model(data, "llama"), partial(torch.optim.AdamW, lr=LR), freeze=["model.embed_tokens"])
    assert task.saved_weights() is None
    assert task.base_digest() is None
    tiny_model(data, "llama").save_pretrained(tmp_path)
    adapter = {"_target_": "aigc.models.adapters.LoRA", "rank": 2}
    model = TransformersCausalLM(path=str(tmp_path), adapter=adapter).create(data)
    task = CausalLM(model, partial(torch.optim.AdamW, lr=LR), freeze=["*.lora_A.*"])
    assert not any(weight.requires_grad for name, weight in model.named_parameters() if ".lora_A." in name)
    assert {name.split(".lora_")[1][0] for name in task.saved_weights()} == {"A", "B"}
