"""Build the components of a run from its config."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from omegaconf import DictConfig
from pytorch_lightning import Callback, LightningDataModule, Trainer, seed_everything
from pytorch_lightning.loggers.logger import Logger
from torch.optim.lr_scheduler import LRScheduler

from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.config import build, factory
from aigc.config.build import target_class
from aigc.config.targets import signature
from aigc.data.random_streams import Stream, stream_seed
from aigc.data.stream_loader import StreamLoader
from aigc.distributed.data_rank import data_rank
from aigc.distributed.strategies import choose_strategy
from aigc.errors import InputError
from aigc.evaluation.base import Evaluation
from aigc.launch import data_state
from aigc.launch.ranks.group import read_ranks
from aigc.launch.ranks.lightning_environment import StartedRanks
from aigc.logger import MetricsFileLogger
from aigc.models import ModelFactory
from aigc.runs import Run
from aigc.runs.files import set_write_patience
from aigc.tasks import Task


def prepare_machine(cfg: DictConfig) -> None:
    """Set threads, determinism and random seeds, before anything is built."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS has no deterministic algorithm without it
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    transformers.utils.logging.disable_progress_bar()
    set_write_patience(cfg.run.patience)
    if cfg.trainer.num_threads:
        torch.set_num_threads(cfg.trainer.num_threads)
    # Where a discriminator's gradients are 0, optimiser moments decay to denormals, which make a CPU ten times slower.
    torch.set_flush_denormal(True)
    # Filling new memory with NaN would cost a tenth of the speed.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    seed(cfg)


def seed(cfg: DictConfig) -> None:
    """Seed all random generators of this process."""
    seed_everything(cfg.seed, workers=True, verbose=False)


def seed_by_data_rank(cfg: DictConfig) -> None:
    """Seed dropout differently on each data rank; call it once all ranks have built the same weights."""
    rank, _ = data_rank()
    if rank:
        seed_everything(stream_seed(Stream.RANK, cfg.seed, rank, below=2**32), workers=True, verbose=False)


def build_data(cfg: DictConfig, model: Path | None = None) -> Any:
    """Build the data module and prepare its data.

    Args:
        cfg: The config.
        model: A checkpoint or a run's model/ that the data are for, whose state learned from data is kept; None takes
            the model that training starts from, if it comes from a run.

    Raises:
        InputError: The data cannot be used, or hold what that model does not know.
    """
    data = build(cfg.data, LightningDataModule, "data")
    if state := _data_state(cfg, data, model):
        data.load_state_dict(state)
    data.prepare_data()
    data.setup()
    return data


def _data_state(cfg: DictConfig, data: LightningDataModule, model: Path | None) -> dict[str, Any]:
    if model is not None and model.suffix == ".ckpt":
        return data_state.of_checkpoint(model, data)
    if model is not None:
        return data_state.of_model(model)
    start = build(cfg.model, ModelFactory, "model").folder if cfg.get("model") else None
    return {} if start is None else data_state.held(start)


def build_task(cfg: DictConfig, data: Any, weights: Path | None = None) -> Task:
    """Build the task with its model, from random or pretrained weights, or from a run's model folder."""
    model = build(cfg.model, ModelFactory, "model")
    if weights is not None:
        model = model.from_folder(weights)
    optimizer = factory(cfg.optimizer, torch.optim.Optimizer, "optimizer")
    scheduler = _scheduler(cfg.scheduler) if cfg.scheduler else None
    task = build(cfg.task, Task, "task", model=model.create(data), optimizer=optimizer, scheduler=scheduler)
    _check_fit(cfg, task)
    return task


def _check_fit(cfg: DictConfig, task: Task) -> None:
    """Check what would fail only after the last step, or with a less clear message from Lightning."""
    if type(task).save_model is Task.save_model:
        task.save_model(Path())  # raises an error that names what is missing
    if task.saved_model is not None:
        target_class(task.saved_model, object, f"{type(task).__name__}.saved_model")
    task.check_trainer(cfg.trainer)


def _scheduler(node: DictConfig) -> Callable[..., LRScheduler]:
    """Return a factory that passes the number of steps to those schedules that take it."""
    make = factory(node, LRScheduler, "scheduler")
    takes_steps = "total_steps" in signature(node["_target_"]).parameters

    def scheduler(optimizer: torch.optim.Optimizer, total_steps: int) -> LRScheduler:
        return make(optimizer=optimizer, **({"total_steps": total_steps} if takes_steps else {}))

    return scheduler


@contextmanager
def reraise_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt where Lightning has turned it into an exit with code 1."""
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error


def build_callbacks(cfg: DictConfig, *groups: str) -> dict[str, Callback]:
    """Build the named callbacks of some config groups, by key."""
    nodes = {f"{group}.{name}": node for group in groups for name, node in (cfg[group] or {}).items()}
    built = {key: build(node, Callback, key) for key, node in nodes.items() if node is not None}
    for key, callback in built.items():
        if isinstance(callback, Evaluation):
            callback.bind(key, cfg.trainer.limit_evaluation_samples)
    return built


def build_loggers(cfg: DictConfig, run: Run, step: int = 0) -> list[Logger]:
    """Build the logger of metrics.jsonl and those of the config; only the first rank has any.

    Args:
        cfg: The config.
        run: The run whose folder they write to.
        step: The step of the checkpoint that the run resumes from.
    """
    if not read_ranks().first:
        return []
    chosen = [build(node, Logger, f"logger.{name}", run=run) for name, node in (cfg.logger or {}).items() if node]
    for logger in chosen:
        if resume := getattr(logger, "resume_from_step", None):
            resume(step)
    return [MetricsFileLogger(run), *chosen]


def build_trainer(
    cfg: DictConfig,
    folder: Path,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
    batches: int | None = None,
    reduces: bool = True,
) -> Trainer:
    """Build Lightning's trainer for this rank.

    Args:
        cfg: The config.
        folder: The run folder.
        callbacks: In their order.
        loggers: Where metrics go.
        batches: Training batches in an epoch of this rank; None where it is not known.
        reduces: Whether the trainer averages the gradients of several ranks, rather than the task.
    """
    settings, ranks = cfg.trainer, read_ranks()
    limit = settings.limit_train_batches
    if batches is not None or limit is not None:
        most = min(number for number in (batches, limit) if number is not None)
        limit = _whole_steps(most, settings.accumulate_grad_batches)
    every = settings.validate_every_n_steps
    if settings.profiler:
        from pytorch_lightning.profilers import AdvancedProfiler, SimpleProfiler

        profilers = {"simple": SimpleProfiler, "advanced": AdvancedProfiler}
        profiler = profilers[settings.profiler](dirpath=folder, filename="profile")
    return Trainer(
        max_steps=settings.max_steps,
        max_epochs=-1,
        accelerator=settings.accelerator,
        devices=ranks.local_world_size,
        num_nodes=ranks.nodes,
        strategy=choose_strategy(settings.strategy, ranks.world_size, settings.tensor_parallel_size, reduces),
        precision=resolve_precision(settings.precision, settings.accelerator),
        accumulate_grad_batches=settings.accumulate_grad_batches,
        gradient_clip_val=settings.gradient_clip_val,
        # Counted in batches over all epochs; the worker validates at the end of training.
        val_check_interval=(every or settings.max_steps) * settings.accumulate_grad_batches,
        check_val_every_n_epoch=None,
        log_every_n_steps=settings.log_every_n_steps,
        limit_train_batches=limit,
        limit_val_batches=settings.limit_val_batches,
        detect_anomaly=settings.detect_anomaly,
        deterministic=settings.deterministic,
        profiler=profiler if settings.profiler else None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,  # that is Lightning's; the config's checkpoints are callbacks
        inference_mode=True,
        callbacks=list(callbacks),
        logger=list(loggers),
        plugins=[AtomicCheckpointIO(), StartedRanks(ranks)],
        default_root_dir=folder,
    )


def _whole_steps(batches: int, accumulate: int) -> int:
    """Round the batches of an epoch down to whole optimiser steps."""
    if batches < accumulate:
        raise InputError(
            f"trainer.accumulate_grad_batches={accumulate}: an epoch has only {batches} batches; "
            "lower it, or give more data"
        )
    return batches - batches % accumulate


def batches_per_epoch(data: Any) -> int | None:
    """Return the training batches in an epoch of this rank; None for a stream, which has its own position.

    Raises:
        InputError: The loader has no length and is not a stream.
    """
    loader = data.train_dataloader()
    if isinstance(loader, StreamLoader):
        loader.log_dealing()
        return None
    try:
        return len(loader)
    except TypeError as error:
        raise InputError("data: the training loader has no length, so a run could not be resumed") from error


def resolve_precision(precision: str, accelerator: str) -> str:
    """Resolve `auto` on this machine: bf16-mixed where that is faster, else 32-true."""
    if precision != "auto":
        return precision
    if accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator == "mps" or (accelerator == "auto" and torch.backends.mps.is_available()):
        return "32-true"
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text()  # exists on Linux
    except OSError:
        cpuinfo = ""
    return "bf16-mixed" if cpu_is_faster_in_bf16(cpuinfo) else "32-true"


def cpu_is_faster_in_bf16(cpuinfo: str) -> bool:
    """Whether a CPU is faster in bf16 than in float32; Intel's avx512_bf16 without AMX is a fifth slower."""
    flags = set(cpuinfo.split())
    return "amx_bf16" in flags or {"avx512_bf16", "AuthenticAMD"} <= flags
