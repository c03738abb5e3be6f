"""Weights and tokenizer from one GGUF file."""

import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from aigc.config.problems import ConfigError
from aigc.data.text.tokenizer import encode
from aigc.errors import InputError
from aigc.models import TransformersCausalLM
from aigc.models.adapters.saving import save_language_model
from aigc.models.pretrained import load_tokenizer, weights_problem
from tests.training.helpers import sgd_task, trainer
from tests.training.tiny_gguf import byte_level, write_gguf
from tests.unit.models.test_pretrained import text_data

LORA = {"_target_": "aigc.models.adapters.LoRA"}
TEXTS = ["the cat sat on the mat", "a dog ran in the fog 春眠", "the mat sat on the cat"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The file, the model and the tokenizer that it was made from."""
    folder, tokenizer = tmp_path_factory.mktemp("gguf"), byte_level(TEXTS)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    model = LlamaForCausalLM(config).eval()
    return write_gguf(folder / "tiny.gguf", model, tokenizer), model, tokenizer


def test_a_file_gives_the_weights_and_the_tokenizer_that_it_was_made_from(made, tmp_path):
    file, model, tokenizer = made
    data = text_data(tmp_path, kind="pretrained", path=str(file))
    assert encode(data.tokenizer, TEXTS) == [tokenizer.encode(text).ids for text in TEXTS]
    assert data.tokenizer.eos_token == "<|endoftext|>"
    factory = TransformersCausalLM(path=str(file))
    factory.check_data(data)
    loaded = factory.create(data).eval()
    ids = torch.tensor([tokenizer.encode(TEXTS[1]).ids])
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits, atol=1e-5, rtol=1e-5)
    assert loaded.dtype == torch.float32
    task = sgd_task(loaded, lr=0.0)
    trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(task, datamodule=data)
    task.save_model(tmp_path / "model")
    data.save_beside_model(tmp_path / "model")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert torch.equal(again(ids).logits, loaded.eval()(ids).logits)
    assert AutoTokenizer.from_pretrained(tmp_path / "model").encode(TEXTS[0]) == encode(data.tokenizer, TEXTS)[0]


def test_an_architecture_that_cannot_be_read_is_refused_with_those_that_can(made, tmp_path):
    _, model, tokenizer = made
    file = write_gguf(tmp_path / "strange.gguf", model, tokenizer, "strange")
    with pytest.raises(InputError, match=r"strange.*llama.*qwen3"):
        TransformersCausalLM(path=str(file)).check_data(None)


def test_what_is_not_a_whole_file_is_refused(made, tmp_path):
    file, _, _ = made
    (tmp_path / "short.gguf").write_bytes(b"GGUF")
    assert "GGUF" in (weights_problem(str(tmp_path / "short.gguf")) or "")
    (tmp_path / "cut.gguf").write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(InputError, match=r"cut\.gguf"):
        TransformersCausalLM(path=str(tmp_path / "cut.gguf")).check_data(None)
    (tmp_path / "text.gguf").write_text("no")
    assert "is a file" in (weights_problem(str(tmp_path / "text.gguf")) or "")
    assert str(file) in (weights_problem(str(file.parent)) or "")


def test_weights_of_a_file_are_not_quantised_again(made):
    with pytest.raises(ConfigError, match=r"model\.quantised"):
        TransformersCausalLM(path=str(made[0]), adapter=LORA, quantised="4bit")


def test_a_missing_package_is_named(made, monkeypatch):
    file: Path = made[0]
    monkeypatch.setitem(sys.modules, "gguf", None)
    problem = weights_problem(str(file)) or ""
    assert "aigc[gguf]" in problem
    with pytest.raises(InputError, match=r"aigc\[gguf\]"):
        load_tokenizer(str(file))


def test_an_adapter_that_is_kept_apart_finds_the_file_again(made, tmp_path):
    file, _, _ = made
    data = text_data(tmp_path, kind="pretrained", path=str(file))
    data.prepare_data()
    model = TransformersCausalLM(path=str(file), adapter=LORA | {"merge": False}).create(data)
    save_language_model(model, tmp_path / "out")
    data.tokenizer.save_pretrained(tmp_path / "out")
    found = TransformersCausalLM(path=str(file)).from_folder(tmp_path / "out").create(data)
    ids = torch.arange(6)[None]
    torch.testing.assert_close(found.eval()(ids).logits, model.eval()(ids).logits, atol=1e-5, rtol=1e-5)
