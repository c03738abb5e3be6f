"""A micro-batch and a step of a language model do not wait for their device."""

from functools import partial

import pytest
import torch

from aigc.callbacks import Throughput
from aigc.models import TransformersCausalLM
from aigc.tasks import CausalLM
from tests.training.families import FAMILIES
from tests.training.helpers import text_data, trainer

TEXTS = ["春眠不覺曉" * n for n in range(1, 9)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return text_data(tmp_path_factory.mktemp("data"), TEXTS)


def train_a_step(data, folder, model, task_class=CausalLM, **settings):
    """Two micro-batches and the step, on the meta device: who asks it for a number gets an error."""
    task = task_class(model, partial(torch.optim.AdamW, lr=1e-3), **settings)
    if task.chunked_loss:
        assert task._output_layer is not None  # is found on the first batch, and waits once
    task.to("meta")
    throughput = Throughput()
    throughput._peak = 1e12  # as on a device whose peak is known
    made = trainer(folder, accumulate_grad_batches=2, max_steps=10, gradient_clip_val=1.0)
    made.strategy.connect(task)
    task.trainer = made
    optimizer = task.configure_optimizers()["optimizer"]
    for index, rows in enumerate((4, 2)):
        batch = {n: v.to("meta") if isinstance(v, torch.Tensor) else v for n, v in data.example_rows(rows).items()}
        task.on_train_batch_start(batch, index)
        loss = task.training_step(batch, index)
        loss.backward()
        if index:
            task.on_before_optimizer_step(optimizer)
            task.configure_gradient_clipping(optimizer, 1.0)
            optimizer.step()
        task.on_train_batch_end(loss, batch, index)
        throughput.on_train_batch_end(made, task, loss, batch, index)
    assert task.gradient_norm is not None
    assert all(weight.grad is not None for weight in task.parameters())


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3_text"])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_nothing_waits_for_the_device(family, is_chunked, data, tmp_path):
    model = TransformersCausalLM(architecture=family, settings=FAMILIES[family]).create(data)
    train_a_step(data, tmp_path, model, chunked_loss=is_chunked)


def test_a_wait_would_be_seen(data, tmp_path):
    class Waits(CausalLM):
        def token_losses(self, logits, labels):
            losses = super().token_losses(logits, labels)
            return losses / losses.sum().item()

    model = TransformersCausalLM(architecture="llama", settings=FAMILIES["llama"]).create(data)
    with pytest.raises(RuntimeError, match=r"item\(\) cannot be called on meta"):
        train_a_step(data, tmp_path, model, Waits)
