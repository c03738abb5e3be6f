"""Adapters of frozen weights in 4 and 8 bits."""

import importlib.util
from functools import partial

import pytest
import torch
from transformers import AutoModelForCausalLM

from aigc.config import ConfigError
from aigc.config.compose import compose
from aigc.config.early import check_early
from aigc.models import TransformersCausalLM, quantised
from aigc.models.adapters.base import adapter_of
from aigc.models.adapters.merging import merged_copy
from aigc.models.weights import digest_of
from aigc.tasks import CausalLM
from tests.training.helpers import SETTINGS, text_data, trainer
from tests.training.resumable import CHARACTERS, TASKS, Resumable, differences, final_state, train

LORA = {"_target_": "aigc.models.adapters.LoRA", "rank": 2, "dropout": 0.1}
KINDS = ("4bit", "8bit")
needs_package = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None,
    reason="bitsandbytes is not installed",
)
pytestmark = pytest.mark.filterwarnings("ignore:MatMul8bitLt")


def lines(folder):
    texts = [CHARACTERS[i : i + 5 + i % 4] for i in range(32)]
    return text_data(folder, texts, sequence_length=8, packing=False, batch_size=3)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder with pretrained weights, large enough to be quantised in blocks."""
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    settings = SETTINGS["llama"] | {"hidden_size": 64, "intermediate_size": 128}
    TransformersCausalLM(architecture="llama", settings=settings).create(lines(folder)).save_pretrained(folder)
    return folder


def adapted(base, kind, folder, workers=0):
    data = lines(folder)
    torch.manual_seed(0)
    model = TransformersCausalLM(path=str(base), adapter=LORA, quantised=kind).create(data)
    return data, CausalLM(model, partial(torch.optim.AdamW, lr=1e-2))


def logits(model, ids):
    with torch.no_grad():
        return model.eval()(ids).logits


@needs_package
@pytest.mark.parametrize("kind", KINDS)
def test_only_the_adapter_is_trained_and_its_run_leaves_whole_weights(kind, base, tmp_path):
    data, task = adapted(base, kind, tmp_path)
    before = digest_of(task.model)
    trainer(tmp_path, max_steps=4, limit_val_batches=2, val_check_interval=2).fit(task, datamodule=data)
    frozen = {name: weight for name, weight in task.model.state_dict().items() if ".lora_" not in name}
    assert {str(weight.dtype) for weight in frozen.values()} > {"torch.uint8" if kind == "4bit" else "torch.int8"}
    assert digest_of(task.model) != before
    assert all(".lora_" in name for name in task.saved_weights())
    ids = data.example_rows(2)["input_ids"]
    expected = logits(task.model, ids)
    task.save_model(tmp_path / "model")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert {weight.dtype for weight in loaded.state_dict().values()} == {torch.float32}
    close = 1e-5 if kind == "4bit" else 0.05  # 8 bits hold the activations, too
    torch.testing.assert_close(logits(loaded, ids), expected, atol=close, rtol=1e-3)
    adapter_of(task.model).kept_apart = True
    task.save_model(tmp_path / "apart")
    apart = TransformersCausalLM(path=str(base)).from_folder(tmp_path / "apart").create(data)
    torch.testing.assert_close(logits(apart, ids), expected, atol=close, rtol=1e-3)
    plain = logits(AutoModelForCausalLM.from_pretrained(base), ids)
    assert (plain - expected).abs().max() > 2 * close


@needs_package
def test_it_resumes_to_the_bit_on_weights_that_are_quantised_again(base, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "quantised", Resumable(partial(adapted, base, "4bit"), 1))
    assert train("quantised", tmp_path / "whole")
    assert not train("quantised", tmp_path / "stopped", signal_at_batch=14)
    assert train("quantised", tmp_path / "stopped")
    assert differences(final_state(tmp_path / "stopped"), final_state(tmp_path / "whole")) == []


@needs_package
def test_merged_weights_have_the_type_of_the_model(base, tmp_path):
    data = lines(tmp_path)
    factory = TransformersCausalLM(path=str(base), adapter=LORA, quantised="4bit", dtype="bfloat16")
    merged = merged_copy(factory.create(data))
    assert {weight.dtype for weight in merged.state_dict().values()} == {torch.bfloat16}
    assert not hasattr(merged.config, "quantization_config")


@pytest.mark.parametrize(
    ("adapter", "kind"),
    [
        (LORA | {"init": "pissa"}, "4bit"),
        (LORA | {"use_dora": True}, "8bit"),
        ({"_target_": "aigc.models.adapters.IA3"}, "4bit"),
    ],
)
def test_an_adapter_that_cannot_be_put_on_such_weights_is_refused(adapter, kind, base, tmp_path):
    with pytest.raises(ConfigError, match=r"model\.quantised"):
        TransformersCausalLM(path=str(base), adapter=adapter, quantised=kind).check_data(lines(tmp_path))


def test_weights_without_an_adapter_are_not_quantised(base):
    with pytest.raises(ConfigError, match=r"model\.quantised.*adapter=lora"):
        TransformersCausalLM(path=str(base), quantised="4bit")


def test_a_machine_without_the_package_is_told_before_data_are_read(base, monkeypatch):
    monkeypatch.setattr(quantised, "find_spec", lambda name: None)
    typed = ["experiment=lm/finetune", f"model.path={base}", "data.path=nowhere.jsonl", "adapter=lora"]
    with pytest.raises(ConfigError) as caught:
        check_early(compose([*typed, "+model.quantised=4bit"]))
    (problem,) = [one for one in caught.value.problems if one.key == "model.quantised"]
    assert "bitsandbytes" in problem.what
    assert "aigc[quantised]" in problem.what
