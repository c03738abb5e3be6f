"""Adapters on weights that two layers share, on weights of other runs, and beside added tokens."""

from functools import partial

import pytest
import torch
from transformers import AutoModelForCausalLM

from aigc.config import ConfigError
from aigc.models import TransformersCausalLM
from aigc.models.adapters.saving import save_language_model
from aigc.models.output_layer import find_output_layer
from aigc.tasks import CausalLM
from aigc.tasks.language.flops import TrainingFlops
from tests.training.adapted import HERE, LORA, VIRTUAL, adapted, lines, logits
from tests.training.families import FAMILIES
from tests.training.helpers import trainer
from tests.training.test_added_tokens import TEXTS, data_of, text_data

ADDED = {"add_tokens": ["<new>"]}


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "apart"])
def base(request, tmp_path_factory):
    """A folder of weights whose embeddings and output layer share one, or do not."""
    place = tmp_path_factory.mktemp("base")
    data = text_data(place, TEXTS)
    torch.manual_seed(0)
    settings = FAMILIES["llama"] | {"tie_word_embeddings": request.param}
    TransformersCausalLM(architecture="llama", settings=settings).create(data).save_pretrained(place / "m")
    data.tokenizer.save_pretrained(place / "m")
    return place / "m"


def trained(base, node, data, place):
    task = adapted(base, node, data)
    trainer(place, max_steps=4, limit_val_batches=0).fit(task, datamodule=data)
    return task.eval()


@pytest.mark.parametrize("layer", ["embed_tokens", "lm_head"])
def test_what_is_merged_into_one_of_two_layers_stays_out_of_the_other(layer, base, tmp_path):
    data = data_of(tmp_path, base)
    task = trained(base, LORA | {"target_modules": ["q_proj", layer]}, data, tmp_path)
    ids = data.example_rows(2)["input_ids"]
    assert not torch.allclose(
        logits(AutoModelForCausalLM.from_pretrained(base), ids), logits(task.model, ids), atol=1e-2
    )
    save_language_model(task.model, tmp_path / "out")
    found = logits(AutoModelForCausalLM.from_pretrained(tmp_path / "out"), ids)
    torch.testing.assert_close(found, logits(task.model, ids), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layer", ["embed_tokens", "lm_head"])
def test_a_layer_with_rows_of_added_tokens_is_no_target(layer, base, tmp_path):
    data = data_of(tmp_path, base, **ADDED)
    with pytest.raises(ConfigError, match=r"model\.adapter\.target_modules.*modules_to_save"):
        adapted(base, LORA | {"target_modules": ["q_proj", layer]}, data)


def test_layers_with_added_tokens_may_be_trained_whole(base, tmp_path):
    data = data_of(tmp_path, base, **ADDED)
    task = trained(base, LORA | {"modules_to_save": ["embed_tokens", "lm_head"]}, data, tmp_path)
    ids = data.example_rows(2)["input_ids"]
    save_language_model(task.model, tmp_path / "out")
    found = logits(AutoModelForCausalLM.from_pretrained(tmp_path / "out"), ids)
    torch.testing.assert_close(found, logits(task.model, ids), atol=1e-4, rtol=1e-4)


def test_the_loss_is_chunked_beside_added_tokens(base, tmp_path):
    task = adapted(base, LORA, data_of(tmp_path, base, **ADDED))
    assert find_output_layer(task.model) is not None


def test_an_adapter_is_kept_apart_from_a_model_that_was_kept_apart_itself(base, tmp_path):
    data, node = data_of(tmp_path, base), LORA | {"merge": False}
    save_language_model(trained(base, node, data, tmp_path).model, tmp_path / "one")
    data.tokenizer.save_pretrained(tmp_path / "one")
    task = trained(tmp_path / "one", node, data, tmp_path)
    save_language_model(task.model, tmp_path / "two")
    ids = data.example_rows(2)["input_ids"]
    found = TransformersCausalLM(path=str(base)).from_folder(tmp_path / "two").create(data)
    torch.testing.assert_close(logits(found, ids), logits(task.model, ids), atol=1e-4, rtol=1e-4)


def test_merged_weights_are_rounded_to_the_asked_type_alone(base, tmp_path):
    data = data_of(tmp_path, base)
    torch.manual_seed(0)
    model = TransformersCausalLM(path=str(base), adapter=LORA | {"merge": False}, dtype="bfloat16").create(data)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    save_language_model(model, tmp_path / "out")
    data.tokenizer.save_pretrained(tmp_path / "out")
    whole = TransformersCausalLM(path=str(tmp_path / "out")).read()
    weight = whole.model.layers[0].self_attn.q_proj.weight
    assert weight.dtype == torch.float32
    assert not torch.equal(weight, weight.bfloat16().float())


@pytest.mark.parametrize("adapter", [None, LORA, VIRTUAL["prompt"]])
def test_virtual_tokens_are_not_trained_further(adapter, bases, tmp_path):
    data = lines(tmp_path)
    save_language_model(adapted(bases / "llama", VIRTUAL["prompt"], data).model, tmp_path / "out")
    factory = TransformersCausalLM(path=str(tmp_path / "out"), adapter=adapter)
    with pytest.raises(ConfigError, match=r"model\.path"):
        factory.check_data(data)
    factory.from_folder(tmp_path / "out").check_data(data)


def test_what_peft_cannot_do_is_said_with_the_key(tmp_path):
    data = text_data(tmp_path, TEXTS)
    TransformersCausalLM(architecture="mixtral", settings=FAMILIES["mixtral"]).create(data).save_pretrained(
        tmp_path / "m"
    )
    data.tokenizer.save_pretrained(tmp_path / "m")
    with pytest.raises(ConfigError, match=r"model\.adapter: PEFT"):
        adapted(tmp_path / "m", LORA | {"use_dora": True}, data)


def test_frozen_embeddings_with_added_tokens_are_refused(base, tmp_path):
    data = data_of(tmp_path, base, **ADDED)
    model = TransformersCausalLM(path=str(base)).create(data)
    with pytest.raises(ConfigError, match=r"task\.freeze"):
        CausalLM(model, partial(torch.optim.SGD, lr=0.1), freeze=["*.embed_tokens"])


def test_a_weight_that_two_layers_share_has_the_rate_of_either_name(base, tmp_path):
    model = TransformersCausalLM(path=str(base)).create(data_of(tmp_path, base))
    task = CausalLM(model, partial(torch.optim.SGD, lr=0.1), learning_rates=[("lm_head", 0.5)])
    task.trainer = trainer(tmp_path, max_steps=1)
    groups = task.configure_optimizers()["optimizer"].param_groups
    (half,) = [group for group in groups if group["lr"] == pytest.approx(0.05)]
    assert half["params"][0] is model.lm_head.weight


@pytest.mark.parametrize("node", [LORA, LORA | {"modules_to_save": ["lm_head"]}, {"_target_": f"{HERE}IA3"}])
def test_flops_count_the_output_layer_once(node, base, tmp_path):
    added = ADDED if node is LORA else {}
    model = adapted(base, node, data_of(tmp_path, base, **added)).model
    sizes = {name: weight.numel() for name, weight in model.named_parameters() if weight.ndim > 1}
    head = model.config.vocab_size * model.config.hidden_size
    layers = sum(
        size for name, size in sizes.items() if ".layers." in name and "lora" not in name and "ia3" not in name
    )
    counted = TrainingFlops(model)._of_token
    rest = counted - 4 * layers - 4 * head
    assert 0 <= rest < 4 * head, "factors, and the gradient of an output layer that is trained"
