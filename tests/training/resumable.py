"""The tasks that must resume to the last bit, and what it takes to train, stop and compare them.

A new task joins every suite of resuming by one line in TASKS.
"""

import json
import logging
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pytorch_lightning import Callback, LightningDataModule
from safetensors.torch import save_model
from torch import nn
from torch.utils.data import DataLoader, Dataset

from aigc.callbacks import BetweenSteps, Checkpoints, ExactState
from aigc.data.loader import training_loader, worker_settings
from aigc.data.random_streams import generator
from aigc.distributed.shard_files import read_shards
from aigc.errors import PreemptedRun
from aigc.logger import MetricsFileLogger
from aigc.optim.schedules import WarmupCosine
from aigc.runs import Run, stop
from aigc.runs.checkpoints import CheckpointFolder
from aigc.runs.console import show_messages
from aigc.runs.files import write_atomic
from aigc.runs.metrics_file import read_lines
from aigc.tasks import CausalLM, Task
from tests.training.gans import gan_data, whole_gan
from tests.training.helpers import text_data, trainer
from tests.training.tiny_gan import image_evaluation

CHARACTERS = "春眠不覺曉處聞啼鳥夜來風雨聲花落知多少白日依山盡黃河入海流欲窮千里目更上一層樓"


def language_model(folder: Path, workers: int) -> tuple[LightningDataModule, Task]:
    """GPT-2 with dropout, AdamW, a schedule, and a loss that is summed between logged steps."""
    from aigc.models import TransformersCausalLM

    texts = [CHARACTERS[i : i + 5 + i % 4] for i in range(32)]
    data = text_data(folder, texts, sequence_length=8, packing=False, batch_size=3, num_workers=workers)
    settings = {"n_layer": 1, "n_head": 2, "n_embd": 16, "resid_pdrop": 0.3, "embd_pdrop": 0.3, "attn_pdrop": 0.3}
    model = TransformersCausalLM(architecture="gpt2", settings=settings).create(data)
    scheduler = partial(WarmupCosine, warmup_steps=3)
    return data, CausalLM(model, partial(torch.optim.AdamW, lr=1e-2), scheduler)


def grouped_model(folder: Path, workers: int) -> tuple[LightningDataModule, Task]:
    """The same with rows that are grouped by length."""
    data, task = language_model(folder, workers)
    data.group_by_length = True
    return data, task


def constant_rate(folder: Path, workers: int) -> tuple[LightningDataModule, Task]:
    """The same with a constant learning rate."""
    data, task = language_model(folder, workers)
    assert isinstance(task, CausalLM)
    task._make_scheduler = None
    return data, task


def adapted_model(folder: Path, workers: int) -> tuple[LightningDataModule, Task]:
    """LoRA with dropout in pretrained weights, which lie in a folder and in no checkpoint, on conversations."""
    from aigc.models import TransformersCausalLM

    data, base = conversations(folder, workers), folder / f"base-{os.environ.get('RANK', '0')}"
    settings = {"n_layer": 1, "n_head": 2, "n_embd": 16, "resid_pdrop": 0.3, "embd_pdrop": 0.3, "attn_pdrop": 0.3}
    if not base.exists():
        torch.manual_seed(0)
        model = TransformersCausalLM(architecture="gpt2", settings=settings).create(data)
        for weight in model.parameters():
            weight.data.normal_(std=0.1)
        model.config.save_pretrained(base)  # the rest of save_pretrained is for the first rank alone
        save_model(model, str(base / "model.safetensors"), metadata={"format": "pt"})
    node = {"_target_": "aigc.models.adapters.LoRA", "rank": 2, "dropout": 0.3, "b_lr_ratio": 2.0}
    torch.manual_seed(0)
    model = TransformersCausalLM(path=str(base), adapter=node).create(data)
    return data, CausalLM(model, partial(torch.optim.AdamW, lr=1e-2), partial(WarmupCosine, warmup_steps=3))


def conversations(folder: Path, workers: int) -> LightningDataModule:
    """Conversations of one and two turns."""
    from aigc.data.text.data import TextData
    from aigc.data.text.tokenizer import TokenizerSettings

    roles = ("user", "assistant", "user", "assistant")
    texts = [[CHARACTERS[(i * 7 + 3 * k) % 37 :][:3] for k in range(4)] for i in range(40)]
    messages = [[{"role": role, "content": text} for role, text in zip(roles, four, strict=True)] for four in texts]
    rows = [{"messages": four[: 2 + 2 * (i % 2)]} for i, four in enumerate(messages)]
    write_atomic(folder / "chats.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    characters = TokenizerSettings(kind="character", min_frequency=1)
    data = TextData(
        str(folder / "chats.jsonl"),
        tokenizer=characters,
        sequence_length=64,
        packing=False,
        batch_size=3,
        num_workers=workers,
        cache=str(folder / "cache"),
    )
    data.prepare_data()
    return data


def streamed_model(folder: Path, workers: int) -> tuple[LightningDataModule, Task]:
    """The same on a stream of three files, of which an epoch has three windows and no batch ends where one does."""
    from aigc.data.text.streamed import StreamedText, StreamTokenizer
    from aigc.models import TransformersCausalLM

    for shard in range(3):
        texts = [CHARACTERS[(shard + i) % 30 :][: 5 + i % 4] for i in range(200)]
        write_atomic(folder / f"{shard}.txt", "\n".join(texts) + "\n")
    tokenizer = StreamTokenizer(kind="character", min_frequency=1, sample=50)
    shape = {"sequence_length": 8, "packing": False, "batch_size": 50 // int(os.environ.get("WORLD_SIZE", "1"))}
    more = {"validation_documents": 4, "shuffle_buffer": 20, "seed": 5, "num_workers": min(workers, 1)}
    data = StreamedText(str(folder / "?.txt"), tokenizer=tokenizer, cache=str(folder / "cache"), **shape, **more)
    data.prepare_data()
    settings = {"n_layer": 1, "n_head": 2, "n_embd": 16, "resid_pdrop": 0.3, "embd_pdrop": 0.3, "attn_pdrop": 0.3}
    model = TransformersCausalLM(architecture="gpt2", settings=settings).create(data)
    return data, CausalLM(model, partial(torch.optim.AdamW, lr=1e-2), partial(WarmupCosine, warmup_steps=3))


class Noisy(Dataset[torch.Tensor]):
    """Points that are augmented with noise of their own in each epoch."""

    def __len__(self) -> int:
        return 25

    def __getitem__(self, place: tuple[int, int]) -> torch.Tensor:
        epoch, index = place
        noise = generator(7, epoch, index).normal(size=4)
        return torch.full((4,), float(index) / 25) + torch.from_numpy(noise).float()


class NoisyData(LightningDataModule):
    """Batches of them."""

    def __init__(self, workers: int):
        super().__init__()
        self.workers = workers

    def train_dataloader(self) -> Any:
        return training_loader(Noisy(), 2, seed=3, num_workers=self.workers, tell_epoch=True)

    def val_dataloader(self) -> Any:
        places = [(0, index) for index in range(6)]
        return DataLoader(Noisy(), 2, sampler=places, **worker_settings(self.workers, 0))


class TwoPlayers(Task):
    """Two networks with an optimiser each whose steps all count, and numbers drawn from the global generator."""

    def __init__(self, accumulate: int = 1) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.one = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.4), nn.BatchNorm1d(8), nn.Linear(8, 4))
        self.other = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 1))
        self.averaged = nn.Linear(8, 4)
        self.register_buffer("probability", torch.zeros(()))
        self._sum = 0.0
        self.epochs = [0, 0]

    def on_train_epoch_start(self) -> None:
        self.epochs[0] += 1

    def on_train_epoch_end(self) -> None:
        self.epochs[1] += 1

    @property
    def steps_done(self) -> int:
        return int(self.global_step) // 2

    def training_step(self, batch: torch.Tensor, batch_index: int) -> None:
        for buffer in self.buffers() if self.trainer.world_size > 1 else ():
            torch.distributed.broadcast(buffer, 0)  # as DDP does: the first rank's are those that are saved
        first, second = self.optimizers()
        for optimizer, sign in ((first, 1.0), (second, -1.0)):
            optimizer.zero_grad()
            given = batch + torch.randn_like(batch) * (torch.rand(()) < self.probability)
            loss = sign * self.other(self.one(given)).mean() + self.one(given).square().mean()
            self.manual_backward(loss)
            for parameter in self.parameters():
                if self.trainer.world_size > 1 and parameter.grad is not None:
                    torch.distributed.all_reduce(parameter.grad)
            optimizer.step()
        for schedule in self.lr_schedulers():
            schedule.step()
        with torch.no_grad():
            self.averaged.weight.lerp_(self.one[3].weight, 0.1)
            self.probability.add_(0.03)
        self._sum += float(loss.detach())

    def on_train_batch_end(self, *args: Any) -> None:
        if self.at_logged_step():
            self.record({"train/loss": self._sum})
            self._sum = 0.0

    def validation_step(self, batch: torch.Tensor, batch_index: int) -> None:
        torch.rand(3)  # a validation that draws must not move training's generator
        self.latest["val/size"] = float(self.one(batch).square().mean())

    def on_validation_epoch_end(self) -> None:
        self.record({"val/perplexity": self.latest["val/size"]})

    def training_state(self) -> dict[str, Any]:
        return super().training_state() | {"sum": self._sum, "epochs": list(self.epochs)}

    def load_training_state(self, state: dict[str, Any]) -> None:
        super().load_training_state(state)
        self._sum, self.epochs = state["sum"], state["epochs"]

    def configure_optimizers(self) -> Any:
        optimizers = [torch.optim.Adam(self.one.parameters(), 1e-2), torch.optim.AdamW(self.other.parameters(), 1e-2)]
        return optimizers, [torch.optim.lr_scheduler.StepLR(o, 5, 0.5) for o in optimizers]


def two_players(folder: Path, workers: int) -> tuple[LightningDataModule, Task]:
    """The toy."""
    return NoisyData(workers), TwoPlayers()


def gan(folder: Path, workers: int) -> tuple[LightningDataModule, Task]:
    """Conditional networks with all that keeps a state, and images that are measured every few steps."""
    return gan_data(folder, workers), whole_gan()


class Resumable(NamedTuple):
    """A task that resumes."""

    make: Callable[[Path, int], tuple[LightningDataModule, Task]]
    accumulate: int
    monitor: str = "val/perplexity"
    evaluate: Callable[[Path], list[Callback]] = lambda folder: []


TASKS = {
    "language_model": Resumable(language_model, accumulate=1),
    "language_model_accumulating": Resumable(grouped_model, accumulate=3),
    "adapter": Resumable(adapted_model, accumulate=1),
    "two_players": Resumable(two_players, accumulate=1),
    "gan": Resumable(gan, 1, "val/fid_projection", lambda folder: [image_evaluation(folder)]),
}
STREAMS = {
    "stream": Resumable(streamed_model, accumulate=1),
    "stream_accumulating": Resumable(streamed_model, accumulate=3),
}
"""Those whose loader has no length."""
WITHOUT_SCHEDULE = {"constant_rate": Resumable(constant_rate, accumulate=1)}
"""Those that train the same steps whatever their number, and are not among the others."""
STEPS = 30
VALIDATE_EVERY = 6


class SignalAt(Callback):
    """Sends this process a signal while a batch is trained on."""

    def __init__(self, batch: int):
        self.batch = batch

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        if trainer.fit_loop.total_batch_idx == self.batch:
            os.kill(os.getpid(), signal.SIGTERM)


def train(
    name: str,
    folder: Path,
    workers: int = 0,
    signal_at_batch: int | None = None,
    callbacks: list[Callback] | None = None,
    change: Callable[[dict[str, Any]], None] | None = None,
    allow: tuple[str, ...] = (),
    **settings: Any,
) -> bool:
    """Train, going on from the newest checkpoint if there is one; whether it came to its end.

    Args:
        name: One of TASKS or STREAMS.
        folder: The run folder.
        workers: Data workers.
        signal_at_batch: The batch (over all epochs) in which SIGTERM comes.
        callbacks: More of them.
        change: Changes the newest checkpoint before it is gone on from.
        allow: As `resume.allow`.
        settings: For the trainer.
    """
    folder.mkdir(exist_ok=True, parents=True)
    show_messages(logging.ERROR)
    task_of = (TASKS | STREAMS | WITHOUT_SCHEDULE)[name]
    with stop.listening():
        torch.manual_seed(0)
        data, task = task_of.make(folder, workers)
        torch.manual_seed(os.getpid() + time.time_ns() % 10**6)  # what a new process finds is not to matter
        saver = Checkpoints(task_of.monitor, every_n_minutes=None)
        always = [*(callbacks or []), saver, ExactState(allow), BetweenSteps(), *task_of.evaluate(folder)]
        if signal_at_batch is not None:
            always.insert(0, SignalAt(signal_at_batch))
        batches = None if name in STREAMS else len(data.train_dataloader())
        chosen: dict[str, Any] = {
            "max_steps": STEPS * (2 if name == "two_players" else 1),
            "accumulate_grad_batches": task_of.accumulate,
            "limit_train_batches": batches and batches - batches % task_of.accumulate,
            "val_check_interval": VALIDATE_EVERY * task_of.accumulate,
            "check_val_every_n_epoch": None,
            "log_every_n_steps": 4,
            "logger": MetricsFileLogger(Run(folder)) if int(os.environ.get("RANK", "0")) == 0 else False,
            "callbacks": always,
        }
        made = trainer(folder, **(chosen | settings))
        checkpoint = CheckpointFolder(folder / "checkpoints").newest_whole()
        if checkpoint is not None and change is not None:
            state = torch.load(checkpoint, weights_only=True)
            change(state)
            made.strategy.checkpoint_io.save_checkpoint(state, checkpoint)
        try:
            torch.manual_seed(0) if checkpoint is None else None
            made.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
            task.call_hook("on_fit_done")  # as a worker does
        except PreemptedRun:
            return False
        finally:
            for logger in made.loggers:
                logger.finalize("success")
    return True


def final_state(folder: Path) -> dict[str, Any]:
    """Everything in the last checkpoint, but for the clock in metrics.jsonl."""
    last = folder / "checkpoints/last.ckpt"
    state: dict[str, Any] = read_shards(last) if last.is_dir() else torch.load(last, weights_only=True)
    del state["aigc"]["metrics_bytes"], state["aigc"]["metrics_row"]
    state["aigc"].pop("metrics_if_longer", None)
    return state


def rows(folder: Path) -> list[dict[str, Any]]:
    """All metric rows, without the time; each step has one."""
    found = read_lines(folder / "metrics.jsonl")
    steps = [row["step"] for row in found]
    assert steps == sorted(set(steps)), "a step has several rows"
    return [{k: v for k, v in row.items() if k != "wall_time"} for row in found]


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two nested values differ; tensors must be equal to the last bit."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        same = one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
        return [] if same else [path]
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return [f"{path}: keys {sorted(set(map(str, one)) ^ set(map(str, other)))}"]
        return [d for key in one for d in differences(one[key], other[key], f"{path}.{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return [d for i, (a, b) in enumerate(zip(one, other, strict=True)) for d in differences(a, b, f"{path}[{i}]")]
    return [] if one == other else [f"{path}: {one!r} != {other!r}"]
