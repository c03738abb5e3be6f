"""Losses are those of the Hugging Face Trainer on the same rows, and compiled ones are those of the eager network."""

import shutil
from copy import deepcopy
from functools import partial

import pytest
import torch
from transformers import Trainer, TrainingArguments

from aigc.data.text.packing import IGNORE
from aigc.models import TransformersCausalLM
from aigc.tasks import CausalLM
from tests.training.families import FAMILIES
from tests.training.helpers import text_data, trainer

ROWS, STEPS = 4, 20
ADAMW = {"lr": 3e-3, "betas": (0.9, 0.95), "weight_decay": 0.1}
TEXTS = [
    f"{poem}{poem[: n % 5]}" * (1 + n % 7) for n, poem in enumerate(["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲"] * 60)
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    texts = [text + chr(0x4E00 + n) for n, text in enumerate(TEXTS)]
    return text_data(tmp_path_factory.mktemp("data"), texts, packing=False, shuffle=False, batch_size=ROWS)


def model_of(data, family="llama"):
    torch.manual_seed(0)
    return TransformersCausalLM(architecture=family, settings=FAMILIES[family] | {"initializer_range": 0.02}).create(
        data
    )


def our_losses(data, model, folder, accumulate=1, **settings):
    found = []

    class Watched(CausalLM):
        def on_train_batch_end(self, *arguments):
            super().on_train_batch_end(*arguments)
            if self.ended_step():
                found.append(self.latest["train/loss"])

    task = Watched(deepcopy(model), partial(torch.optim.AdamW, **ADAMW), **settings)
    chosen = {"max_steps": STEPS, "log_every_n_steps": 1, "limit_val_batches": 0, "gradient_clip_val": 1.0}
    made = trainer(folder, **chosen, accumulate_grad_batches=accumulate)
    made.fit(task, datamodule=data)
    return found


def their_losses(data, model, folder, accumulate=1):
    def collate(rows):
        ids = torch.nn.utils.rnn.pad_sequence(rows, True, IGNORE)
        labels = ids.clone()
        labels[:, 0] = IGNORE  # never predicted, but the Trainer counts it where a class is not called ...ForCausalLM
        return {"input_ids": ids.clamp_min(0), "attention_mask": (ids != IGNORE).long(), "labels": labels}

    arguments = TrainingArguments(
        output_dir=str(folder / "peer"),
        max_steps=STEPS,
        per_device_train_batch_size=ROWS,
        gradient_accumulation_steps=accumulate,
        learning_rate=ADAMW["lr"],
        adam_beta1=ADAMW["betas"][0],
        adam_beta2=ADAMW["betas"][1],
        weight_decay=ADAMW["weight_decay"],
        max_grad_norm=1.0,
        lr_scheduler_type="constant",
        train_sampling_strategy="sequential",
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        logging_steps=1,
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    rows = data.prepared.rows("train")
    batches = [rows[index] for index in range(len(rows))]
    documents = [batch["input_ids"][batch["segment_ids"] > 0] for batch in batches]
    made = Trainer(deepcopy(model), arguments, train_dataset=documents, data_collator=collate)
    made.train()
    return [row["loss"] for row in made.state.log_history if "loss" in row]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "accumulate"), [("gpt2", 1), ("llama", 2)])
def test_the_loss_of_each_step_is_that_of_the_hugging_face_trainer(family, accumulate, data, tmp_path):
    model = model_of(data, family)
    ours, theirs = (find(data, model, tmp_path, accumulate) for find in (our_losses, their_losses))
    assert len(ours) == STEPS
    assert ours[-1] < ours[0] - 0.5, "nothing was learned"
    assert ours == pytest.approx([float(loss) for loss in theirs], abs=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
def test_compiled_losses_are_those_of_eager_ones(tmp_path):
    data = text_data(tmp_path, [text * 9 for text in TEXTS[:9]], batch_size=ROWS)  # whole rows, one graph
    model = model_of(data)
    eager = our_losses(data, model, tmp_path)
    assert our_losses(data, model, tmp_path, compile=True) == pytest.approx(eager, abs=1e-4)
