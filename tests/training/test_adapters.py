"""Adapters: checkpoints hold the trained weights alone, and a run leaves a model that loads without the adapter."""

import shutil
from functools import partial

import pytest
import torch
from transformers import AutoModelForCausalLM

from aigc.config import ConfigError
from aigc.config.targets import signature
from aigc.config.trust import trust
from aigc.distributed.sharding import ShardedData
from aigc.errors import InputError
from aigc.generation.sampling import Sampling
from aigc.generation.texts import generate_texts
from aigc.models import TransformersCausalLM, TransformersModel
from aigc.models.adapters.base import adapter_of
from aigc.tasks import CausalLM
from tests.training.helpers import SETTINGS, text_data, tiny_model, trainer
from tests.training.lora import LoRALinear
from tests.training.resumable import CHARACTERS, TASKS, Resumable, differences, final_state, rows, train

BERT = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
NODE = {"_target_": "tests.training.lora.LoRA", "rank": 2}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder with pretrained weights."""
    trust(["tests"])
    folder = tmp_path_factory.mktemp("base")
    tiny_model(lines(folder), "llama").save_pretrained(folder / "weights")
    return folder / "weights"


def lines(folder):
    texts = [CHARACTERS[i : i + 5 + i % 4] for i in range(32)]
    return text_data(folder, texts, sequence_length=8, packing=False, batch_size=3)


def adapted(base, folder, workers=0):
    data = lines(folder)
    model = TransformersCausalLM(path=str(base), adapter=NODE).create(data)
    return data, CausalLM(model, partial(torch.optim.AdamW, lr=1e-2))


def test_a_run_with_an_adapter_resumes_to_the_bit_from_small_checkpoints(base, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "lora", Resumable(partial(adapted, base), 1))
    assert train("lora", tmp_path / "whole")
    assert not train("lora", tmp_path / "stopped", signal_at_batch=14)
    assert train("lora", tmp_path / "stopped")
    state = final_state(tmp_path / "whole")
    assert differences(final_state(tmp_path / "stopped"), state) == []
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")
    layers = SETTINGS["llama"]["num_hidden_layers"] * 2
    assert len(state["state_dict"]) == 2 * layers
    assert all(name.endswith((".up", ".down")) for name in state["state_dict"])
    assert all(bool(weight.any()) for weight in state["state_dict"].values())


def test_a_run_leaves_merged_weights_that_load_without_the_adapter(base, tmp_path):
    data, task = adapted(base, tmp_path)
    trainer(tmp_path, max_steps=4, limit_val_batches=0).fit(task, datamodule=data)
    task.save_model(tmp_path / "model")
    task.eval()
    ids = data.example_rows(2)["input_ids"]
    loaded = [
        AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval(),
        TransformersCausalLM(path=str(base), adapter=NODE).from_folder(tmp_path / "model").create(data).eval(),
    ]
    with torch.no_grad():
        expected = task.model(ids).logits
        before = AutoModelForCausalLM.from_pretrained(base).eval()(ids).logits
        for model in loaded:
            assert adapter_of(model) is None
            torch.testing.assert_close(model(ids).logits, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(before, expected, atol=1e-3)
    assert any(isinstance(layer, LoRALinear) for layer in task.model.modules()), "the task itself stays as it is"


def test_only_the_adapter_is_trained_in_float32_beside_weights_in_bfloat16(base, tmp_path):
    data = lines(tmp_path)
    model = TransformersCausalLM(path=str(base), adapter=NODE, dtype="bfloat16").create(data)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    task = CausalLM(model, partial(torch.optim.AdamW, lr=1e-2))
    trainer(tmp_path, max_steps=2, limit_val_batches=0).fit(task, datamodule=data)
    for name, weight in model.state_dict().items():
        trained = name.endswith((".up", ".down"))
        assert weight.dtype == (torch.float32 if trained else torch.bfloat16)
        assert torch.equal(weight, before[name]) != trained


def test_weights_of_another_adapter_are_refused(base, tmp_path):
    _, task = adapted(base, tmp_path)
    weights = {name: weight for name, weight in task.state_dict().items() if name in task.saved_weights()}
    task.load_state_dict(weights)
    with pytest.raises(RuntimeError, match="another model or adapter"):
        task.load_state_dict(dict(list(weights.items())[1:]))
    with pytest.raises(RuntimeError, match="size mismatch"):
        task.load_state_dict({name: weight[:1] for name, weight in weights.items()})


def test_weights_trained_on_another_base_are_refused(base, tmp_path, monkeypatch):
    own = shutil.copytree(base, tmp_path / "base")
    monkeypatch.setitem(TASKS, "lora", Resumable(partial(adapted, own), 1))
    assert not train("lora", tmp_path / "run", signal_at_batch=14)
    path = next((tmp_path / "run/checkpoints").glob("step-*.ckpt"))
    checkpoint = torch.load(path, weights_only=True)
    adapted(own, tmp_path)[1].load_checkpoint(checkpoint)
    changed = AutoModelForCausalLM.from_pretrained(own)
    changed.model.embed_tokens.weight.data[0, 0] += 1e-3
    changed.save_pretrained(own)
    with pytest.raises(InputError, match=r"model\.path"):
        adapted(own, tmp_path)[1].load_checkpoint(checkpoint)
    with pytest.raises(InputError, match=r"model\.path"):
        train("lora", tmp_path / "run")
    del checkpoint["base_digest"]
    adapted(own, tmp_path)[1].load_checkpoint(checkpoint)  # of a version that did not know


@pytest.mark.parametrize(("head", "architecture"), [("CausalLM", "llama"), ("CausalLM", "gpt2"), ("MaskedLM", "bert")])
def test_rows_that_new_tokens_need_are_the_same_each_time(head, architecture, tmp_path):
    small = lines(tmp_path / "small")
    large = text_data(tmp_path / "large", [CHARACTERS + end for end in "ABCDEFGH"], sequence_length=8)
    sizes = SETTINGS.get(architecture, BERT)
    TransformersModel(head, architecture, settings=sizes).create(small).save_pretrained(tmp_path / "weights")
    made = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        made.append(TransformersModel(head, path=str(tmp_path / "weights")).create(large))
    weights, others = (model.state_dict() for model in made)
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    before, after = len(small.tokenizer), len(large.tokenizer)
    assert before < after == made[0].config.vocab_size
    for layer in (made[0].get_input_embeddings(), made[0].get_output_embeddings()):
        new = layer.weight[before:]
        torch.testing.assert_close(new, layer.weight[:before].mean(0).expand_as(new))


def test_an_adapter_may_wrap_the_output_layer(base, tmp_path):
    data = lines(tmp_path)
    node = NODE | {"layers": ["lm_head", "q_proj"]}
    task = CausalLM(TransformersCausalLM(path=str(base), adapter=node).create(data), partial(torch.optim.AdamW, lr=0.1))
    assert isinstance(task.model.get_output_embeddings(), LoRALinear)
    trainer(tmp_path, max_steps=4, limit_val_batches=0).fit(task, datamodule=data)
    sampling = Sampling(max_new_tokens=5)
    (texts,) = generate_texts(task.model, data.tokenizer, [CHARACTERS[:2]], sampling)
    task.save_model(tmp_path / "model")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert generate_texts(merged, data.tokenizer, [CHARACTERS[:2]], sampling) == [texts]


def test_shards_of_a_part_of_the_weights_are_refused(base, tmp_path):
    _, task = adapted(base, tmp_path)
    task.trainer = trainer(tmp_path)
    task.configure_model()
    task.trainer._accelerator_connector.strategy = ShardedData(2)
    with pytest.raises(ConfigError, match=r"trainer\.strategy"):
        task.configure_model()


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"architecture": "llama", "adapter": NODE}, "model.adapter"),
        (
            {"path": "weights", "head": "MaskedLMM"},
            "model.head: Transformers has no AutoModelForMaskedLMM; did you mean",
        ),
        ({"head": "MaskedLM"}, "give either architecture"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_key(arguments, key):
    with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
        TransformersModel(**arguments)


@pytest.mark.parametrize(
    ("head", "architecture", "settings"),
    [
        ("MaskedLM", "bert", BERT),
        ("SequenceClassification", "bert", {"hidden_size": 16, "num_attention_heads": 2, "num_labels": 5}),
        ("Seq2SeqLM", "t5", {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}),
        ("CausalLM", "gpt2", {"n_layer": 1, "n_head": 2, "n_embd": 16}),
    ],
)
def test_each_head_of_transformers_can_be_had(head, architecture, settings, tmp_path):
    data = lines(tmp_path)
    model = TransformersModel(head, architecture, settings=settings).create(data)
    assert head.replace("Seq2SeqLM", "ConditionalGeneration") in type(model).__name__.replace("LMHeadModel", "CausalLM")
    assert model.config.vocab_size == len(data.tokenizer)
    if "num_labels" in settings:
        assert model.config.num_labels == 5


def test_an_adapter_is_a_slot_that_validate_knows():
    slot = signature("aigc.models.TransformersCausalLM").parameters["adapter"].slot
    assert slot is not None
    assert "aigc.models.adapters.base.Adapter" in str(slot)
