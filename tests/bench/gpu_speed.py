"""Speed of training language models on a GPU: a whole fit of aigc, and the Hugging Face Trainer beside it."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback
from transformers import Trainer, TrainerCallback, TrainingArguments

from aigc.callbacks import BetweenSteps, ExactState
from aigc.callbacks.peak_flops import peak_flops
from aigc.config import check, compose
from aigc.data.text.packing import IGNORE
from aigc.launch import components
from aigc.launch.trainer import build_trainer
from aigc.tasks.language.flops import TrainingFlops
from tests.bench.language_model import write_corpus

WARM_UP, STEPS = 8, 24


@dataclass(frozen=True)
class Shape:
    """A Llama, and the batches that it learns from."""

    name: str
    layers: int
    width: int
    heads: int
    groups: int
    inner: int
    vocabulary: int
    rows: int
    length: int = 2048
    poems: int = 40
    """Most poems in a document."""

    def overrides(self) -> list[str]:
        """The overrides that make it."""
        sizes = {
            "num_hidden_layers": self.layers,
            "hidden_size": self.width,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.groups,
            "intermediate_size": self.inner,
            "vocab_size": self.vocabulary,
        }
        settings = [f"++model.settings.{name}={size}" for name, size in sizes.items()]
        return ["model=llama", *settings, f"data.sequence_length={self.length}", f"data.batch_size={self.rows}"]


SHAPES = [
    Shape("135M", 30, 576, 9, 3, 1536, 49_152, 16),
    Shape("1B", 16, 2048, 32, 8, 8192, 128_256, 8),
]
TINY = [Shape("tiny", 2, 64, 4, 2, 128, 9000, 2, 128, 3)]


@dataclass
class Meter:
    """Counts the tokens and operations of the steps after the first ones, and the seconds that they take."""

    device: torch.device
    tokens: list[Any] = field(default_factory=list)
    flops: list[Any] = field(default_factory=list)
    steps: int = 0
    began: float = 0.0
    seconds: float = 0.0

    def count(self, tokens: torch.Tensor, flops: torch.Tensor | None) -> None:
        """Count a batch; nothing is read from the device."""
        self.tokens.append(tokens)
        self.flops.append(float("nan") if flops is None else flops)

    def step(self) -> None:
        """End a step."""
        self.steps += 1
        if self.steps in (WARM_UP, WARM_UP + STEPS):
            synchronise(self.device)
            self.seconds, self.began = time.perf_counter() - self.began, time.perf_counter()

    def report(self, name: str, half: bool) -> float:
        """Print what was found; returns the tokens per second."""
        rate = sum(map(float, self.tokens[WARM_UP : WARM_UP + STEPS])) / self.seconds
        peak = peak_flops(self.device, half)
        used = sum(map(float, self.flops[WARM_UP : WARM_UP + STEPS])) / self.seconds
        share = f"MFU {used / peak:.1%}" if peak else f"{used / 1e12:.2f} TFLOP/s"
        memory = torch.cuda.max_memory_allocated() / 2**30 if self.device.type == "cuda" else 0.0
        print(f"  {name:<42}{rate:11,.0f} tokens/s  {share:>16}  peak memory {memory:5.1f} GiB", flush=True)
        return rate


class Metered(Callback):
    """Gives a meter what a fit does."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count a batch that is a step."""
        self.meter.count((batch["segment_ids"] > 0).sum(), module.flops(batch))
        self.meter.step()


class MeteredPeer(TrainerCallback):
    """Gives a meter what a Hugging Face trainer does."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """End a step."""
        self.meter.step()


class WaitsSeen(Callback):
    """Notes where a training step waits for the device."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._caught: Any = None

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """Let torch warn of what waits, once all is warm."""
        if batch_idx >= WARM_UP:
            self._caught = warnings.catch_warnings(record=True)
            self._warnings = self._caught.__enter__()
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")

    def on_train_batch_end(self, *_: Any) -> None:
        """End that; logged steps may wait after it."""
        if self._caught is not None:
            torch.cuda.set_sync_debug_mode("default")
            self._caught.__exit__(None, None, None)
            self._caught = None
            self.seen += [f"{w.filename}:{w.lineno}" for w in self._warnings if "synchron" in str(w.message)]


def synchronise(device: torch.device) -> None:
    """Wait for a device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def config(shape: Shape, place: Path, device: torch.device, *overrides: str) -> Any:
    """The config of a fit."""
    corpus = place / f"{shape.poems}.jsonl"
    if not corpus.exists():
        write_corpus(corpus, shape.poems)
    cfg = compose(
        [
            *shape.overrides(),
            f"data.path={corpus}",
            "data.text_column=text",
            "data.tokenizer.min_frequency=1",
            "evaluation=null",
            "logger=null",
            "callbacks.progress=null",
            f"trainer.accelerator={'gpu' if device.type == 'cuda' else 'cpu'}",
            f"paths.cache={place}/cache",
            f"paths.outputs={place}/outputs",
            *overrides,
        ]
    )
    check(cfg)
    return cfg


def compare(shape: Shape, place: Path, device: torch.device) -> bool:
    """Print the speed of both; returns whether no step of ours waits for the device."""
    fast = ["trainer.precision=bf16-mixed", "trainer.deterministic=false", f"trainer.max_steps={WARM_UP + STEPS}"]
    waits = WaitsSeen()
    with fresh_memory():
        implementation, ours = fit(config(shape, place, device, *fast, "task.compile=true"), place, device, waits)
    rate = ours.report(f"aigc, packed, compiled, {implementation}", half=True)
    with fresh_memory():
        theirs = peer(config(shape, place, device, *fast, "data.packing=false"), place, device, implementation)
    other = theirs.report(f"Hugging Face Trainer, padded, {implementation}", half=True)
    print(f"  ratio {rate / other:.2f}; no step waits for the device: {not waits.seen} {sorted(set(waits.seen))[:3]}")
    return not waits.seen


@contextmanager
def fresh_memory() -> Iterator[None]:
    """Measure the peak memory of what is run within, and let nothing of it stay."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    yield
    torch._dynamo.reset()


def fit(cfg: Any, place: Path, device: torch.device, waits: WaitsSeen) -> tuple[str, Meter]:
    """A whole fit; returns the attention implementation that it took."""
    components.prepare_machine(cfg)
    data = components.build_data(cfg)
    task = components.build_task(cfg, data)
    meter = Meter(device)
    callbacks = [ExactState(), BetweenSteps(), *([waits] if device.type == "cuda" else []), Metered(meter)]
    trainer = build_trainer(cfg, place, callbacks, [])
    trainer.fit(task, train_dataloaders=data.train_dataloader())
    return str(task.model.config._attn_implementation), meter


def peer(cfg: Any, place: Path, device: torch.device, implementation: str) -> Meter:
    """The Hugging Face Trainer on the same documents and weights."""
    components.prepare_machine(cfg)
    data = components.build_data(cfg)
    model = components.build_task(cfg, data).model
    model.set_attn_implementation(implementation)
    rows, meter, flops = data.prepared.rows("train"), Meter(device), TrainingFlops(model)
    batches = [rows[index] for index in range(len(rows))]

    def collate(documents: list[Any]) -> dict[str, Any]:
        ids = torch.nn.utils.rnn.pad_sequence(documents, True, IGNORE)
        real = ids != IGNORE
        positions = torch.arange(ids.shape[1]).expand_as(ids)
        meter.count(real.sum(), flops.of({"segment_ids": real.long(), "position_ids": positions}))
        return {"input_ids": ids.clamp_min(0), "attention_mask": real.long(), "labels": ids}

    arguments = TrainingArguments(
        output_dir=str(place / "peer"),
        max_steps=WARM_UP + STEPS,
        per_device_train_batch_size=cfg.data.batch_size,
        learning_rate=cfg.optimizer.lr,
        optim="adamw_torch_fused",
        bf16=True,
        use_cpu=device.type == "cpu",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    documents = [batch["input_ids"][batch["segment_ids"] > 0] for batch in batches]
    Trainer(model, arguments, train_dataset=documents, data_collator=collate, callbacks=[MeteredPeer(meter)]).train()
    return meter
