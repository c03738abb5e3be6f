"""The trainers that `tests.bench.language_model` compares, each run in a process of its own.

Usage: python -m tests.bench.language_contenders NAME FOLDER STEPS TURNS

FOLDER holds poems.jsonl. A line on standard input begins a turn of STEPS steps; a line of JSON on standard output ends
it. What else is printed goes to standard error.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback
from transformers import Trainer, TrainerCallback, TrainingArguments

from aigc.callbacks import BetweenSteps, ExactState
from aigc.config import compose
from aigc.data.text.packing import IGNORE
from aigc.launch import components
from aigc.launch.trainer import build_trainer
from aigc.logger import MetricsFileLogger, TensorBoard
from aigc.runs import Run

LENGTH, ROWS, PADDED_ROWS = 256, 8, 16
RATE, BETAS, DECAY, CLIP = 3e-4, (0.9, 0.95), 0.1, 1.0


class Turns:
    """Counts the real tokens of a turn, and waits between turns."""

    def __init__(self, steps: int, turns: int) -> None:
        self._results = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # trainers print to standard output
        self._steps = steps
        self.total = steps * turns
        self._done = self._tokens = 0

    def wait(self) -> None:
        """Wait for the next turn."""
        if self._done == self.total or not sys.stdin.readline():
            sys.exit()
        self._tokens, self._began = 0, time.perf_counter()

    def count(self, tokens: int) -> None:
        """Count the tokens of a batch."""
        self._tokens += tokens

    def step(self) -> None:
        """End a step; the last one of a turn ends the turn."""
        self._done += 1
        if self._done % self._steps:
            return
        turn = {"tokens": self._tokens, "seconds": time.perf_counter() - self._began}
        turn["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._results.write(json.dumps(turn) + "\n")
        self._results.flush()
        self.wait()


def config(folder: Path, *overrides: str) -> Any:
    """The config of all contenders."""
    return compose(
        [
            f"data.path={folder}/poems.jsonl",
            "data.text_column=text",
            "data.tokenizer.min_frequency=1",
            f"data.sequence_length={LENGTH}",
            f"data.batch_size={ROWS}",
            "model.settings.n_layer=4",
            "task.embedding_lr_ratio=1.0",
            "optimizer=adamw",
            f"optimizer.lr={RATE}",
            f"optimizer.betas={list(BETAS)}",
            f"optimizer.weight_decay={DECAY}",
            f"trainer.gradient_clip_val={CLIP}",
            "scheduler=null",
            "evaluation=null",
            f"paths.cache={folder}/cache",
            *overrides,
        ]
    )


def aigc(folder: Path, turns: Turns, precision: str = "32-true") -> None:
    """A whole fit, with the default callbacks and loggers."""
    cfg = config(folder, f"trainer.max_steps={turns.total}", f"trainer.precision={precision}")
    components.prepare_machine(cfg)
    data = components.build_data(cfg)

    class Counted(Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            turns.count(int((batch["segment_ids"] > 0).sum()))

        def on_train_batch_end(self, *_: Any) -> None:
            turns.step()

    place = folder / f"run-{precision}"
    place.mkdir()
    run = Run(place)
    callbacks = [*components.build_callbacks(cfg, "callbacks").values(), ExactState(), BetweenSteps(), Counted()]
    trainer = build_trainer(cfg, place, callbacks, [MetricsFileLogger(run), TensorBoard(run)])
    task = components.build_task(cfg, data)
    turns.wait()
    trainer.fit(task, train_dataloaders=data.train_dataloader())


def plain_packed(folder: Path, turns: Turns) -> None:
    """A loop over packed rows whose documents see each other, as a person would write it first."""
    cfg = config(folder)
    components.seed(cfg)
    data = components.build_data(cfg)
    model = components.build_task(cfg, data).model.train()
    optimizer = torch.optim.AdamW(model.parameters(), RATE, BETAS, weight_decay=DECAY, fused=True)
    loader = data.train_dataloader()
    turns.wait()
    for epoch in range(10**6):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            loss = model(input_ids=batch["input_ids"], labels=batch["labels"], use_cache=False).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            turns.count(int((batch["segment_ids"] > 0).sum()))
            turns.step()


class Waiting(TrainerCallback):
    """Lets a Hugging Face trainer wait for its turns."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Wait for the first turn."""
        self.turns.wait()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """End a step."""
        self.turns.step()


def hf_trainer(folder: Path, turns: Turns, bf16: bool = False) -> None:
    """Transformers' own Trainer, which pads each batch to its longest document."""
    cfg = config(folder, "data.packing=false")
    components.seed(cfg)
    data = components.build_data(cfg)

    def collate(rows: list[Any]) -> dict[str, torch.Tensor]:
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row["input_ids"]) for row in rows], True, IGNORE)
        turns.count(int((ids != IGNORE).sum()))
        return {"input_ids": ids.clamp_min(0), "attention_mask": (ids != IGNORE).long(), "labels": ids}

    arguments = hf_arguments(TrainingArguments, folder, turns, bf16, PADDED_ROWS)
    model = components.build_task(cfg, data).model
    Trainer(model, arguments, train_dataset=documents(data), data_collator=collate, callbacks=[Waiting(turns)]).train()


def sft_packed(folder: Path, turns: Turns) -> None:
    """TRL's SFTTrainer with packing, which flattens a batch into one row."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    cfg = config(folder, "data.packing=false")
    components.seed(cfg)
    data = components.build_data(cfg)
    arguments = hf_arguments(SFTConfig, folder, turns, False, ROWS, packing=True, max_length=LENGTH)
    trainer = SFTTrainer(
        components.build_task(cfg, data).model,
        arguments,
        train_dataset=Dataset.from_list(documents(data)),
        processing_class=data.tokenizer,
        callbacks=[Waiting(turns)],
    )
    original = trainer.data_collator

    def collate(rows: list[Any]) -> Any:
        turns.count(sum(len(row["input_ids"]) for row in rows))
        return original(rows)

    trainer.data_collator = collate
    trainer.train()


def hf_arguments(kind: Any, folder: Path, turns: Turns, bf16: bool, rows: int, **further: Any) -> Any:
    """The same optimiser and clipping, without checkpoints and reports."""
    return kind(
        output_dir=str(folder / "peer"),
        max_steps=turns.total,
        per_device_train_batch_size=rows,
        learning_rate=RATE,
        adam_beta1=BETAS[0],
        adam_beta2=BETAS[1],
        weight_decay=DECAY,
        max_grad_norm=CLIP,
        optim="adamw_torch_fused",
        lr_scheduler_type="constant",
        gradient_checkpointing=False,
        bf16=bf16,
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        logging_steps=10,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **further,
    )


def documents(data: Any) -> list[dict[str, list[int]]]:
    """The training documents as token ids, in the order of the corpus."""
    rows = data.prepared.rows("train")
    batches = [rows[index] for index in range(len(rows))]
    return [{"input_ids": batch["input_ids"][batch["segment_ids"] > 0].tolist()} for batch in batches]


CONTENDERS: dict[str, Callable[[Path, Turns], None]] = {
    "aigc": aigc,
    "aigc-bf16": lambda folder, turns: aigc(folder, turns, "bf16-mixed"),
    "plain-packed": plain_packed,
    "hf-trainer": hf_trainer,
    "hf-trainer-bf16": lambda folder, turns: hf_trainer(folder, turns, bf16=True),
    "sft-packed": sft_packed,
}


if __name__ == "__main__":
    name, place, steps, number = sys.argv[1:]
    CONTENDERS[name](Path(place), Turns(int(steps), int(number)))
