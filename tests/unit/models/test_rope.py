"""Rotary positions that reach further than the pretrained weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from aigc.config.problems import ConfigError
from aigc.data.text.data import TextData
from aigc.models import TransformersCausalLM
from aigc.models.configuration import set_settings
from aigc.models.context import context_length, context_problems
from aigc.models.rope import extended

SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 32,
}
OWN = {"rope_type": "default", "rope_theta": 5000.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 32 positions, with a base of its own."""
    place = tmp_path_factory.mktemp("rope")
    torch.manual_seed(0)
    config = AutoConfig.for_model("llama", **SIZES, rope_parameters=OWN)
    AutoModelForCausalLM.from_config(config).save_pretrained(place)
    return place


def test_scaling_extends_the_context_and_keeps_the_base_of_the_weights(folder: Path) -> None:
    rows = TextData("nowhere.txt", sequence_length=64)
    with pytest.raises(ConfigError, match=r"64 .* 32"):
        TransformersCausalLM(path=str(folder)).check_data(rows)
    scaled = TransformersCausalLM(path=str(folder), settings={"rope_parameters": {"rope_type": "yarn", "factor": 2.0}})
    scaled.check_data(rows)
    model = scaled.read().eval()
    assert model.config.rope_parameters == {
        "rope_type": "yarn",
        "factor": 2.0,
        "rope_theta": 5000.0,
        "original_max_position_embeddings": 32,
    }
    assert model.config.max_position_embeddings == 64
    ids = torch.arange(60)[None] % 40
    plain = TransformersCausalLM(path=str(folder)).read().eval()
    assert (model(ids).logits - plain(ids).logits).abs().max() > 1e-6  # the positions are other ones
    with pytest.raises(ConfigError, match=r"80 .* 64"):
        scaled.check_data(TextData("nowhere.txt", sequence_length=80))


def test_dynamic_scaling_keeps_the_positions_that_it_compares_with(folder: Path) -> None:
    settings = {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}
    factory = TransformersCausalLM(path=str(folder), settings=settings)
    factory.check_data(TextData("nowhere.txt", sequence_length=64))
    config = factory.read().config
    assert (config.max_position_embeddings, context_length(config)) == (32, 64)


@pytest.mark.parametrize(
    "given",
    [{"rope_type": "yarrn", "factor": 2.0}, {"rope_type": "yarn"}, {"rope_type": "linear", "factor": 0.5}, 4],
)
def test_wrong_parameters_are_refused_by_their_key(given: Any, folder: Path) -> None:
    for arguments in ({"path": str(folder)}, {"architecture": "llama"}):
        with pytest.raises(ConfigError) as caught:
            TransformersCausalLM(**arguments, settings={"rope_parameters": given})
        assert [problem.key for problem in caught.value.problems] == ["model.settings.rope_parameters"]


def test_an_architecture_without_rotary_embeddings_refuses_them() -> None:
    with pytest.raises(ConfigError, match=r"model\.settings\.rope_parameters"):
        TransformersCausalLM(architecture="gpt2", settings={"rope_parameters": {"rope_type": "yarn", "factor": 2.0}})


def test_layers_with_a_window_keep_their_own_parameters() -> None:
    settings = {**SIZES, "rope_parameters": {"rope_type": "linear", "factor": 2.0}}
    config = AutoConfig.for_model("gemma3_text", **SIZES)
    before = dict(config.rope_parameters)
    set_settings(config, settings)
    assert config.rope_parameters["sliding_attention"] == before["sliding_attention"]
    assert config.rope_parameters["full_attention"] == before["full_attention"] | settings["rope_parameters"]
    assert context_length(config) == 64


def test_a_config_is_checked_without_loading_anything(folder: Path) -> None:
    assert json.loads((folder / "config.json").read_text())["max_position_embeddings"] == 32
    model: dict[str, Any] = {"path": str(folder)}
    assert [key for key, _ in context_problems(model, {"sequence_length": 64}, True)] == ["data.sequence_length"]
    model["settings"] = {"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}
    assert list(context_problems(model, {"sequence_length": 64}, True)) == []
    assert [key for key, _ in context_problems(model, {"sequence_length": 65}, True)] == ["data.sequence_length"]


def test_llama_3_reaches_what_its_configuration_says() -> None:
    assert extended(131072, {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}) == 131072
    assert extended(40960, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}) == 131072
    assert extended(32, None) == extended(32, OWN) == 32
