"""The loss whose output layer is applied to some target positions at a time is the loss of all logits."""

from functools import partial

import pytest
import torch
from omegaconf import OmegaConf
from torch.utils._python_dispatch import TorchDispatchMode

from aigc.config import ConfigError
from aigc.data.text.packing import IGNORE
from aigc.models import TransformersCausalLM
from aigc.models.adapters.base import attach
from aigc.models.output_layer import OutputLayer, find_output_layer
from aigc.tasks import CausalLM
from aigc.tasks.language import chunked, tokens
from tests.training.families import FAMILIES
from tests.training.helpers import text_data, tiny_model, trainer
from tests.training.lora import LoRA

TEXTS = ["春眠不覺曉" * n for n in range(1, 9)]
PLAIN = FAMILIES["llama"]
SHORT = {name: value for name, value in PLAIN.items() if name != "head_dim"}
SHAPES = {
    "gpt2": FAMILIES["gpt2"],
    "llama": PLAIN,
    "gemma2": PLAIN | {"final_logit_softcapping": 1.5},
    "cohere": SHORT | {"logit_scale": 0.3},
    "granite": SHORT | {"logits_scaling": 5.0},
    "mixtral": FAMILIES["mixtral"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return text_data(tmp_path_factory.mktemp("data"), TEXTS)


def model_of(data, architecture):
    torch.manual_seed(0)
    return TransformersCausalLM(architecture=architecture, settings=SHAPES[architecture]).create(data)


def task_of(model, **settings):
    return CausalLM(model, partial(torch.optim.SGD, lr=0.1), **settings)


def loss_and_gradients(task, batch):
    task.zero_grad()
    loss = task.loss(batch)
    (0.25 * loss).backward()  # as a step scales it
    return loss.detach(), {name: weight.grad for name, weight in task.named_parameters() if weight.grad is not None}


def assert_same(model, batch, **settings):
    plain = loss_and_gradients(task_of(model, chunked_loss=False), batch)
    plain = plain[0], {name: gradient.clone() for name, gradient in plain[1].items()}
    in_parts = loss_and_gradients(task_of(model, chunked_loss=True, **settings), batch)
    torch.testing.assert_close(in_parts, plain, rtol=1e-5, atol=1e-5)
    assert all(gradient.abs().max() > 0 for name, gradient in plain[1].items() if name.endswith("norm.weight"))


@pytest.fixture
def in_parts(monkeypatch, data):
    monkeypatch.setattr(chunked, "PART", 7 * len(data.tokenizer))


@pytest.mark.parametrize("architecture", SHAPES)
def test_loss_and_gradients_are_those_of_all_logits(architecture, data, in_parts):
    assert_same(model_of(data, architecture), data.example_rows(4))


@pytest.mark.parametrize("architecture", ["gemma2", "cohere", "granite"])
def test_without_what_follows_the_output_layer_they_would_not_be(architecture, data, in_parts, monkeypatch):
    model = model_of(data, architecture)
    monkeypatch.setattr(OutputLayer, "logits", lambda self, hidden: model.lm_head(hidden))
    assert find_output_layer(model) is None, "it is noticed"
    monkeypatch.setattr("aigc.tasks.language.causal_lm.find_output_layer", lambda model: OutputLayer(model, dict))
    with pytest.raises(AssertionError, match="not close"):
        assert_same(model, data.example_rows(4))


@pytest.mark.parametrize("changed", [{"activation_checkpointing": True}, {"compile": True, "compile_backend": "eager"}])
def test_they_are_with_checkpointing_and_compiled(changed, data, in_parts):
    assert_same(model_of(data, "llama"), data.example_rows(4), **changed)


def test_they_are_with_an_adapter_on_the_output_layer(data, in_parts):
    model = model_of(data, "llama")
    attach(LoRA(layers=["q_proj", "lm_head"]), model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("up"):
                weight.normal_(std=0.02)
    assert_same(model, data.example_rows(4))


def test_they_are_where_the_output_layer_is_not_trained(data, in_parts):
    model = model_of(data, "gemma2")
    attach(LoRA(layers=["q_proj"]), model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("up"):
                weight.normal_(std=0.02)
    assert not find_output_layer(model).is_trained
    assert_same(model, data.example_rows(4))


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_an_output_layer_is_trained_with_its_own_weight_or_that_of_the_embedding(architecture, data):
    model = model_of(data, architecture)
    layer = find_output_layer(model)
    assert layer.is_trained
    model.requires_grad_(False)
    assert not layer.is_trained
    next(module for module in model.modules() if isinstance(module, torch.nn.ModuleList)).requires_grad_()
    assert not layer.is_trained
    model.get_output_embeddings().requires_grad_()
    assert layer.is_trained


@pytest.fixture
def batch(data):
    """Rows in which the first tokens are not learned."""
    batch = data.example_rows(4)
    batch["labels"][:, :9] = IGNORE
    batch["target_tokens"] = int((batch["labels"] != IGNORE).sum())
    return batch


@pytest.fixture
def positions(monkeypatch):
    """How many positions the output layer was applied to, call by call."""
    found = []
    logits = OutputLayer.logits
    monkeypatch.setattr(OutputLayer, "logits", lambda self, h: found.append(len(h)) or logits(self, h))
    return found


def test_frozen_logits_are_computed_once_and_only_for_targets(data, batch, positions):
    for is_frozen in (True, False):
        model = model_of(data, "llama")
        model.get_output_embeddings().requires_grad_(not is_frozen)
        task = task_of(model, chunked_loss=True)
        positions.clear()
        task.loss(batch).backward()
        assert sum(positions) - positions[0] == batch["target_tokens"] * (1 if is_frozen else 2)


def test_what_is_infinite_where_nothing_is_learned_does_not_matter(data, in_parts):
    task = task_of(model_of(data, "llama"), chunked_loss=True)
    batch = data.example_rows(2)
    batch["labels"][:, -3:] = IGNORE
    batch["target_tokens"] = int((batch["labels"][:, 1:] != IGNORE).sum())
    hidden = OutputLayer.hidden

    def with_infinity(self, **inputs):
        states = hidden(self, **inputs).clone()
        states[:, -1] = torch.inf
        return states

    expected = task.loss(batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OutputLayer, "hidden", with_infinity)
        task.__dict__.pop("_run_layers")
        assert torch.equal(task.loss(batch), expected)


class LargestFloats(TorchDispatchMode):
    """Notes the most elements of a tensor of floats that is made."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(one, torch.Tensor) and one.is_floating_point():
                self.elements = max(self.elements, one.numel())
        return made


@pytest.mark.parametrize("is_training", [True, False])
def test_all_logits_are_never_held(is_training, tmp_path, monkeypatch):
    data = text_data(tmp_path, ["".join(map(chr, range(0x4E00 + 30 * n, 0x4E1E + 30 * n))) for n in range(40)])
    monkeypatch.setattr(chunked, "PART", 8000)
    batch, model = data.example_rows(8), tiny_model(data)
    largest = {}
    for is_chunked in (False, True):
        task = task_of(model, chunked_loss=is_chunked)
        with LargestFloats() as seen:
            if is_training:
                task.loss(batch).backward()
            else:
                task.validation_step(batch, 0)
        largest[is_chunked] = seen.elements
    logits = batch["input_ids"].numel() * len(data.tokenizer)
    assert largest[False] >= logits
    assert largest[True] <= max(8000, model.get_input_embeddings().weight.numel()) < logits / 4


def test_prompts_and_padding_have_no_logits(data, batch, positions):
    task = task_of(model_of(data, "llama"), chunked_loss=True)
    positions.clear()
    task.loss(batch)
    assert sum(positions) - positions[0] == batch["target_tokens"]  # the first is the trial
    batch["target_tokens"] -= 1
    with pytest.raises(RuntimeError, match="target_tokens"):
        task.loss(batch)


def test_a_batch_without_targets_has_a_gradient_of_zero(data):
    batch = data.objective.without_targets(data.example_rows(2))
    loss, gradients = loss_and_gradients(task_of(model_of(data, "llama"), chunked_loss=True), batch)
    assert loss == 0
    assert gradients
    assert all(not gradient.any() for gradient in gradients.values())


def test_large_logits_are_chunked_unless_they_must_not_be(data, monkeypatch):
    used = []
    monkeypatch.setattr("aigc.tasks.language.causal_lm.chunked_nll", lambda *_: used.append(True) or torch.zeros(()))
    batch = data.example_rows(4)
    for large, setting in [(10**9, None), (10**9, True), (1, None), (1, False)]:
        monkeypatch.setattr(tokens, "LARGE", large)
        task_of(model_of(data, "llama"), chunked_loss=setting).loss(batch)
        used.append(False)
    assert used == [False, True, False, True, False, False]


def test_a_loss_of_ones_own_and_networks_of_another_build_take_all_logits(data, monkeypatch):
    class Own(CausalLM):
        def token_losses(self, logits, labels):
            return 2 * super().token_losses(logits, labels)

    monkeypatch.setattr(tokens, "LARGE", 1)
    batch, model = data.example_rows(2), model_of(data, "llama")
    plain = task_of(model, chunked_loss=False).loss(batch)
    torch.testing.assert_close(Own(model, partial(torch.optim.SGD, lr=0.1)).loss(batch), 2 * plain)
    sizes = {"hidden_size": 32, "ffn_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    other = TransformersCausalLM(architecture="opt", settings={**sizes, "word_embed_proj_dim": 32}).create(data)
    assert find_output_layer(other) is None
    plain = task_of(other.eval(), chunked_loss=False).loss(batch)
    torch.testing.assert_close(task_of(other).loss(batch), plain)


@pytest.mark.parametrize("strategy", ["fsdp", "auto"])
def test_what_cannot_be_chunked_is_refused_where_it_is_asked_for(strategy, data):
    class Own(CausalLM):
        def forward(self, batch):
            return super().forward(batch)

    settings = OmegaConf.create({"strategy": strategy, "gradient_clip_val": None, "accumulate_grad_batches": 1})
    kind = CausalLM if strategy == "fsdp" else Own
    task = kind(model_of(data, "llama"), partial(torch.optim.SGD, lr=0.1), chunked_loss=True)
    with pytest.raises(ConfigError) as refused:
        task.check_trainer(settings)
    assert [problem.key for problem in refused.value.problems] == ["task.chunked_loss"]
    task.chunked_loss = None
    task.check_trainer(settings)


def test_perplexity_is_that_of_all_logits(data, tmp_path, in_parts):
    found = []
    for is_chunked in (False, True):
        task = task_of(model_of(data, "llama"), chunked_loss=is_chunked)
        trainer(tmp_path).validate(task, datamodule=data, verbose=False)
        found.append(task.latest)
    assert found[1] == pytest.approx(found[0], rel=1e-6)
