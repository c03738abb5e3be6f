"""Virtual tokens before each text: their models generate as those of PEFT, and rows hold one text."""

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from aigc.config import ConfigError
from aigc.models import TransformersCausalLM, TransformersModel
from aigc.tasks import CausalLM
from tests.training.adapted import VIRTUAL, gradients, lines


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


def test_a_prefix_lies_in_the_cache_that_activation_checkpointing_has_not(bases, tmp_path):
    data = lines(tmp_path)
    for name in ("prompt", "prefix"):
        model = TransformersCausalLM(path=str(bases / "llama"), adapter=VIRTUAL[name]).create(data)
        if name == "prefix":
            with pytest.raises(ConfigError, match=r"task\.activation_checkpointing"):
                CausalLM(model, torch.optim.AdamW, activation_checkpointing=True)
        else:
            assert gradients(CausalLM(model, torch.optim.AdamW, activation_checkpointing=True), data)
