import math
from functools import partial

import pytest
import torch
from pytorch_lightning.plugins import MixedPrecision

from aigc.callbacks import ExactState
from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.data.text.packing import IGNORE
from aigc.errors import DivergedRun
from aigc.evaluation import TextGeneration
from aigc.models import TransformersCausalLM
from aigc.tasks.language.causal_lm import shifted
from aigc.tasks.language.tokens import token_nll
from tests.training.helpers import SETTINGS, sgd_task, text_data, tiny_model, trainer

TEXTS = [
    "春眠不覺曉",
    "處處聞啼鳥",
    "夜來風雨聲",
    "花落知多少",
    "白日依山盡",
    "黃河入海流",
    "欲窮千里目",
    "更上一層樓",
    "山",
    "河",
]


def alone(batch, row, segment):
    """One document of a packed batch as a batch of its own."""
    where = batch["segment_ids"][row] == segment
    cut = {name: batch[name][row][where][None] for name in ("input_ids", "labels", "position_ids")}
    return cut | {"segment_ids": torch.ones_like(cut["input_ids"])}, where


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "qwen3"])
def test_packed_documents_do_not_see_each_other(architecture, tmp_path):
    data = text_data(tmp_path, TEXTS)
    task = sgd_task(tiny_model(data, architecture)).eval()
    batch = data.example_rows(2)
    with torch.no_grad():
        packed = task(batch)
        for row in range(len(batch["input_ids"])):
            for segment in range(1, int(batch["segment_ids"][row].max()) + 1):
                single, where = alone(batch, row, segment)
                torch.testing.assert_close(task(single)[0], packed[row][where], atol=1e-5, rtol=1e-4)


def test_without_the_mask_they_would(tmp_path):
    data = text_data(tmp_path, TEXTS)
    task = sgd_task(tiny_model(data)).eval()
    batch = data.example_rows(1)
    single, where = alone(batch, 0, 2)
    batch["segment_ids"] = torch.ones_like(batch["segment_ids"])
    with torch.no_grad():
        assert not torch.allclose(task(single)[0], task(batch)[0][where], atol=1e-3)


def test_labels_are_shifted_once_and_only_here():
    # Logits that are certain of the token that really follows have no loss; shifted twice they would have a large one.
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    logits = torch.full((1, 5, 6), -50.0)
    logits[0, torch.arange(4), ids[0, 1:]] = 50.0
    labels = ids.clone()
    labels[0, 0] = IGNORE
    assert float(token_nll(*shifted(logits, labels)).sum()) == pytest.approx(0.0, abs=1e-6)
    assert float(token_nll(*shifted(logits.roll(1, dims=1), labels)).sum()) > 100


def trained_weights(folder, data, rows, accumulate, model):
    data.batch_size = rows
    task = sgd_task(model)
    one = trainer(folder, max_steps=1, accumulate_grad_batches=accumulate, limit_val_batches=0, gradient_clip_val=0.5)
    one.fit(task, datamodule=data)
    return torch.cat([p.detach().flatten() for p in task.parameters()])


def test_accumulation_equals_one_large_batch_with_unequal_token_counts(tmp_path):
    data = text_data(tmp_path, ["山" * (4 * n + 1) for n in range(1, 8)], packing=False, validation_fraction=0.3)
    counts = [int(data.prepared.rows("train")[i]["target_tokens"]) for i in range(4)]
    assert len(set(counts)) > 1, "the rows must differ, or the wrong normalisation would pass"
    whole = trained_weights(tmp_path / "a", data, 4, 1, tiny_model(data))
    parts = trained_weights(tmp_path / "b", data, 1, 4, tiny_model(data))
    start = torch.cat([p.detach().flatten() for p in tiny_model(data).parameters()])
    assert not torch.equal(start, whole)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-5)


def test_the_mean_of_means_would_differ(tmp_path):
    data = text_data(tmp_path, ["山" * (4 * n + 1) for n in range(1, 8)], packing=False, validation_fraction=0.3)
    rows = data.prepared.rows("train")
    model = tiny_model(data)
    task = sgd_task(model)
    gradients = []
    for weights in ("tokens", "batches"):
        model.zero_grad()
        for i in range(4):
            batch = rows[i]
            share = (
                1 / sum(rows[j]["target_tokens"] for j in range(4))
                if weights == "tokens"
                else 1 / 4 / batch["target_tokens"]
            )
            (task.loss(batch) * share).backward()
        gradients.append(torch.cat([p.grad.flatten().clone() for p in model.parameters()]))
    assert not torch.allclose(*gradients, rtol=1e-3)


def test_perplexity_does_not_depend_on_the_batch_size(tmp_path):
    data = text_data(tmp_path, [t * n for n, t in enumerate(TEXTS * 2, 1)], validation_fraction=0.5)
    found = []
    for rows in (1, 3, 100):
        data.batch_size = rows
        task = sgd_task(tiny_model(data))
        trainer(tmp_path).validate(task, datamodule=data, verbose=False)
        found.append(task.latest)
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-5)
    per_token = math.log(found[0]["val/perplexity"]) * data.info["validation"]["target_tokens"]
    per_byte = found[0]["val/bits_per_byte"] * math.log(2) * data.info["validation"]["bytes"]
    assert per_token == pytest.approx(per_byte)


def test_vectors_are_not_decayed_unless_asked(tmp_path):
    data = text_data(tmp_path, TEXTS)
    task = sgd_task(tiny_model(data))
    task._make_optimizer = partial(torch.optim.AdamW, lr=1.0, weight_decay=0.5)

    def decay():
        groups = task.configure_optimizers()["optimizer"].param_groups
        assert sum(len(group["params"]) for group in groups) == len(list(task.parameters()))
        return {p.ndim >= 2: group["weight_decay"] for group in groups for p in group["params"]}

    assert decay() == {True: 0.5, False: 0.0}
    task.decay_vectors = True
    assert decay() == {True: 0.5, False: 0.5}


@pytest.mark.parametrize("tied", [True, False])
def test_embeddings_learn_at_their_own_rate(tmp_path, tied):
    data = text_data(tmp_path, TEXTS)
    settings = SETTINGS["gpt2"] | {"tie_word_embeddings": tied}
    task = sgd_task(TransformersCausalLM(architecture="gpt2", settings=settings).create(data), lr=0.5)
    task.embedding_lr_ratio = 3.0
    groups = {group["name"]: group for group in task.configure_optimizers()["optimizer"].param_groups}
    assert groups["embeddings"]["lr"] == 1.5
    assert {groups["matrices"]["lr"], groups["vectors"]["lr"]} == {0.5}
    assert len(groups["embeddings"]["params"]) == (1 if tied else 2)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path):
    data = text_data(tmp_path, TEXTS)
    task = sgd_task(tiny_model(data), lr=1e30)
    with pytest.raises(DivergedRun, match="not finite at step 2, batch 1, training samples"):
        trainer(tmp_path, max_steps=5, log_every_n_steps=1, limit_val_batches=0).fit(task, datamodule=data)


@pytest.mark.parametrize(("lr", "what"), [(1e30, "the validation loss is"), (math.nan, "weights are")])
def test_a_divergence_is_raised_before_texts_are_generated(lr, what, tmp_path):
    data, writer = text_data(tmp_path, TEXTS), TextGeneration({})
    task = sgd_task(tiny_model(data), lr=lr)
    task.check_finite = lambda *_, **__: None  # as where the device is not waited for
    every = {"val_check_interval": 1, "check_val_every_n_epoch": None, "log_every_n_steps": 9}
    writer.pairs = lambda *_: pytest.fail("texts were written")
    with pytest.raises(DivergedRun, match=f"{what} not finite after step 1; lower optimizer.lr"):
        trainer(tmp_path, max_steps=2, callbacks=[ExactState(), writer], **every).fit(task, datamodule=data)


def test_the_last_step_is_logged_whatever_the_interval(tmp_path):
    data = text_data(tmp_path, TEXTS)
    task = sgd_task(tiny_model(data))
    trainer(tmp_path, max_steps=3, log_every_n_steps=10, limit_val_batches=0).fit(task, datamodule=data)
    assert "train/loss" in task.latest


def test_how_values_were_made_survives_a_resume_and_old_checkpoints_without_it(tmp_path):
    data = text_data(tmp_path, TEXTS)
    task = sgd_task(tiny_model(data))
    task.signatures = {"val/bleu": "tok:zh"}
    state = task.training_state()
    resumed = sgd_task(tiny_model(data))
    resumed.load_training_state(state)
    assert resumed.signatures == {"val/bleu": "tok:zh"}
    del state["signatures"]
    resumed.load_training_state(state)
    assert resumed.signatures == {}


def test_a_batch_without_targets_moves_nothing(tmp_path):
    data = text_data(tmp_path, TEXTS)
    task = sgd_task(tiny_model(data))
    before = {name: weight.clone() for name, weight in task.state_dict().items()}

    def untargeted(batch, index):
        batch["labels"].fill_(IGNORE)
        batch["target_tokens"] = 0
        return batch

    task.on_before_batch_transfer = untargeted
    made = trainer(tmp_path, max_steps=2, accumulate_grad_batches=2, limit_val_batches=0)
    made.fit(task, datamodule=data)
    assert task.steps_done == 2
    assert all(torch.equal(weight, before[name]) for name, weight in task.state_dict().items())


@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_scale_that_overflows_is_lowered_without_a_divergence(clip, tmp_path):
    data = text_data(tmp_path, TEXTS)
    task = sgd_task(tiny_model(data), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126)
    precision = MixedPrecision("16-mixed", "cpu", scaler=scaler)
    made = trainer(
        tmp_path,
        max_steps=4,
        limit_val_batches=0,
        gradient_clip_val=clip,
        plugins=[AtomicCheckpointIO(), precision],
    )
    made.fit(task, datamodule=data)
    assert scaler.get_scale() < 2.0**126
    task.raise_if_diverged()
