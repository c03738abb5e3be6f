"""Tasks of other kinds of language models share the machinery of CausalLM: normalisation, resuming, memory."""

from functools import partial

import pytest
import torch
from torch import nn

from aigc.config.problems import ConfigError
from aigc.data.text.packing import IGNORE
from aigc.models.isolation import document_mask
from aigc.tasks import CausalLM
from aigc.tasks.language import tokens
from aigc.tasks.language.causal_lm import shifted
from tests.training.helpers import text_data, tiny_model, trainer
from tests.training.language_tasks import KINDS, TextRows, make, network
from tests.training.resumable import TASKS, Resumable, differences, final_state, rows, train

MONITORS = {"masked_lm": "val/perplexity", "classifier": "val/accuracy", "preference": "val/loss"}


@pytest.fixture
def kind(request, monkeypatch):
    """The name of a kind that is in TASKS."""
    name = request.param
    monkeypatch.setitem(TASKS, name, Resumable(partial(make, name), 2, MONITORS[name]))
    return name


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_a_task_of_another_kind_trains_and_resumes_to_the_bit(kind, tmp_path):
    assert train(kind, tmp_path / "whole")
    assert not train(kind, tmp_path / "stopped", signal_at_batch=21)  # in the middle of an epoch and of a log interval
    assert train(kind, tmp_path / "stopped")
    assert differences(final_state(tmp_path / "stopped"), final_state(tmp_path / "whole")) == []
    found = rows(tmp_path / "whole")
    assert rows(tmp_path / "stopped") == found
    losses = [row["train/loss"] for row in found if "train/loss" in row]
    assert losses[-1] < 0.99 * losses[0]
    assert any(MONITORS[kind] in row for row in found)


def trained(kind, folder, batch_size, accumulate):
    torch.manual_seed(0)
    task = KINDS[kind][0](network(KINDS[kind][1], dropout=0.0), partial(torch.optim.SGD, lr=0.1))
    settings = {"max_steps": 1, "accumulate_grad_batches": accumulate, "limit_val_batches": 0}
    trainer(folder, **settings).fit(task, datamodule=TextRows(batch_size))
    return torch.cat([parameter.detach().flatten() for parameter in task.parameters()])


@pytest.mark.parametrize("kind", KINDS)
def test_micro_batches_are_normalised_like_one_batch(kind, tmp_path):
    whole, in_parts = trained(kind, tmp_path, 6, 1), trained(kind, tmp_path, 2, 3)
    torch.testing.assert_close(in_parts, whole, atol=1e-6, rtol=1e-5)


def test_rows_of_one_document_need_no_mask(tmp_path, monkeypatch):
    data = text_data(tmp_path, ["春眠不覺曉" * n for n in range(1, 9)], packing=False)
    task = CausalLM(tiny_model(data), partial(torch.optim.SGD, lr=0.1)).eval()
    batch = data.example_rows(4)
    assert not batch["packed"]
    assert text_data(tmp_path / "packed", ["春眠不覺曉" * n for n in range(1, 9)]).example_rows(1)["packed"]
    given = []
    run_model = task.run_model
    monkeypatch.setattr(task, "run_model", lambda **inputs: given.append(inputs) or run_model(**inputs))
    with torch.no_grad():
        masked, unmasked = task(batch), task.model(batch["input_ids"]).logits
        counts = batch["segment_ids"] > 0
        torch.testing.assert_close(unmasked[counts], masked[counts], atol=1e-5, rtol=1e-4)
        on_accelerator = {**batch, "segment_ids": batch["segment_ids"].to("meta")}
        task(on_accelerator)
    assert given[0]["attention_mask"] is not None
    assert {*given[1]} == {"input_ids", "use_cache"}


def test_a_mask_keeps_documents_apart_and_the_future_hidden():
    seen = document_mask(torch.tensor([[1, 1, 2, 2, 0]]))[0, 0].int().tolist()
    assert seen == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]


class Largest(torch.overrides.TorchFunctionMode):
    """Notes the most elements of float32 logits that a cross-entropy is given."""

    elements = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is nn.functional.log_softmax:
            self.elements = max(self.elements, args[0].numel())
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_loss_of_a_token_is_cross_entropy_and_so_is_its_gradient(dtype):
    torch.manual_seed(0)
    logits = (4 * torch.randn(3, 7, 17)).to(dtype).requires_grad_()
    labels = torch.randint(17, (3, 7))
    labels[1, 2:] = IGNORE
    weights = torch.rand(21)
    of_scores = logits.detach().float().reshape(21, 17).requires_grad_()
    expected = nn.functional.cross_entropy(of_scores, labels.flatten(), ignore_index=IGNORE, reduction="none")
    (expected * weights).sum().backward()
    losses = tokens.token_nll(logits, labels)
    total = (losses * weights).sum()
    total.backward(retain_graph=True)
    assert torch.equal(losses, expected)
    torch.testing.assert_close(logits.grad, of_scores.grad.reshape(3, 7, 17).to(dtype))
    assert (logits.grad[1, 2:] == 0).all()
    with pytest.raises(RuntimeError, match="one backward pass"):
        total.backward()


@pytest.mark.parametrize(("part", "shape"), [(300, (3, 40, 17)), (400, (5, 11, 17)), (1, (2, 3, 17))])
def test_large_logits_are_taken_in_parts_with_the_same_loss_and_gradient(part, shape, monkeypatch):
    torch.manual_seed(0)
    logits = torch.randn(*shape, dtype=torch.bfloat16).requires_grad_()
    labels = torch.randint(17, shape[:2])
    labels[0, 1] = IGNORE
    weights = torch.rand(shape[0] * shape[1])

    def of_whole_and_gradient():
        logits.grad = None
        losses = tokens.token_nll(*shifted(logits, labels))
        (losses * weights).sum().backward()
        return losses.detach(), logits.grad.clone()

    with Largest() as of_whole:
        whole, gradient = of_whole_and_gradient()
    monkeypatch.setattr(tokens, "LARGE", 1)
    monkeypatch.setattr(tokens, "PART", part)
    with Largest() as of_parts:
        parts, of_gradient = of_whole_and_gradient()
    assert torch.equal(parts, whole)
    assert torch.equal(of_gradient, gradient)
    assert of_parts.elements <= max(part, 17) < of_whole.elements


def test_validation_in_parts_gives_the_same_perplexity(tmp_path, monkeypatch):
    data = text_data(tmp_path, ["春眠不覺曉" * n for n in range(1, 9)])
    found = []
    for large in (tokens.LARGE, 1):
        monkeypatch.setattr(tokens, "LARGE", large)
        monkeypatch.setattr(tokens, "PART", 100)
        task = CausalLM(tiny_model(data), partial(torch.optim.SGD, lr=0.1))
        trainer(tmp_path).validate(task, datamodule=data, verbose=False)
        found.append(task.latest["val/perplexity"])
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.parametrize("setting", [{"activation_checkpointing": True}, {"compile": True, "compile_backend": "eager"}])
def test_less_memory_and_compiling_change_no_step(setting, tmp_path):
    data = text_data(tmp_path, ["春眠不覺曉" * n for n in range(1, 9)])
    weights = []
    for chosen in ({}, setting):
        task = CausalLM(tiny_model(data), partial(torch.optim.SGD, lr=0.1), **chosen)
        trainer(tmp_path, max_steps=2, limit_val_batches=0).fit(task, datamodule=data)
        weights.append(task.state_dict())
    assert list(weights[0]) == list(weights[1])
    assert differences(weights[0], weights[1]) == []


def test_activations_are_computed_again(tmp_path):
    data = text_data(tmp_path, ["春眠不覺曉" * n for n in range(1, 9)])
    calls = []
    for activation_checkpointing in (False, True):
        task = CausalLM(
            tiny_model(data, "llama"),
            partial(torch.optim.SGD, lr=0.1),
            activation_checkpointing=activation_checkpointing,
        )
        count = []
        task.model.model.layers[0].self_attn.register_forward_pre_hook(lambda *_, count=count: count.append(1))
        task.train().loss(data.example_rows(1)).backward()
        calls.append(len(count))
    assert calls[0] == 1
    assert calls[1] == 2


def test_a_model_that_cannot_checkpoint_activations_is_refused(tmp_path):
    model = tiny_model(text_data(tmp_path, ["春眠不覺曉" * n for n in range(1, 9)]))
    type(model).supports_gradient_checkpointing, before = False, type(model).supports_gradient_checkpointing
    try:
        with pytest.raises(ConfigError, match=r"task\.activation_checkpointing"):
            CausalLM(model, partial(torch.optim.SGD, lr=0.1), activation_checkpointing=True)
    finally:
        type(model).supports_gradient_checkpointing = before
