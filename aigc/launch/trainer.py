"""Lightning's trainer, from the section `trainer` of a config."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.loggers.logger import Logger

from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.config.accumulation import accumulation
from aigc.config.problems import ConfigError, Problem
from aigc.data.stream_loader import StreamLoader
from aigc.distributed.strategies import choose_strategy
from aigc.errors import InputError
from aigc.launch.ranks.group import Ranks, read_ranks
from aigc.launch.ranks.lightning_environment import StartedRanks
from aigc.printing import plural
from aigc.runs.console import log


def build_trainer(
    cfg: DictConfig,
    folder: Path,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
    batches: int | None = None,
    reduces: bool = True,
    steps: int | None = None,
) -> Trainer:
    """Build Lightning's trainer for this rank.

    Args:
        cfg: The config.
        folder: The run folder.
        callbacks: In their order.
        loggers: Where metrics go.
        batches: Training batches in an epoch of this rank; None where it is not known.
        reduces: Whether the trainer averages the gradients of several ranks, rather than the task.
        steps: Steps to train for, from `last_step`; None takes trainer.max_steps.
    """
    settings, ranks = cfg.trainer, read_ranks()
    limit = _batches_used(settings, batches)
    steps = steps or settings.max_steps or 1
    every = settings.validate_every_n_steps
    if settings.profiler:
        from pytorch_lightning.profilers import AdvancedProfiler, SimpleProfiler

        profilers = {"simple": SimpleProfiler, "advanced": AdvancedProfiler}
        profiler = profilers[settings.profiler](dirpath=folder, filename="profile")
    return Trainer(
        max_steps=steps,
        min_steps=settings.min_steps,
        max_epochs=settings.max_epochs or -1,
        accelerator=settings.accelerator,
        devices=ranks.local_world_size,
        num_nodes=ranks.nodes,
        strategy=choose_strategy(settings.strategy, ranks.world_size, settings.tensor_parallel_size, reduces),
        precision=resolve_precision(settings.precision, settings.accelerator),
        accumulate_grad_batches=settings.accumulate_grad_batches,
        gradient_clip_val=settings.gradient_clip_val,
        # Counted in batches over all epochs; the worker validates at the end of training.
        val_check_interval=(every or steps) * settings.accumulate_grad_batches,
        check_val_every_n_epoch=None,
        log_every_n_steps=settings.log_every_n_steps,
        limit_train_batches=limit,
        limit_val_batches=settings.limit_val_batches,
        detect_anomaly=settings.detect_anomaly,
        deterministic=settings.deterministic,
        profiler=profiler if settings.profiler else None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        enable_model_summary=False,
        enable_checkpointing=False,  # that is Lightning's; the config's checkpoints are callbacks
        inference_mode=True,
        callbacks=list(callbacks),
        logger=list(loggers),
        plugins=[AtomicCheckpointIO(), StartedRanks(ranks)],
        default_root_dir=folder,
    )


def with_accumulation(cfg: DictConfig, data: Any, ranks: Ranks) -> DictConfig:
    """Return the config with the batches per step that trainer.target_tokens_per_step asks for."""
    tokens = cfg.trainer.get("target_tokens_per_step")
    if tokens is None:
        return cfg
    readers = ranks.world_size // cfg.trainer.tensor_parallel_size
    batches = accumulation(tokens, data.batch_size, data.sequence_length, readers)
    if ranks.first:
        log.info("%s a step on each rank, as trainer.target_tokens_per_step=%d", plural(batches, "batch"), tokens)
    settled = cfg.copy()
    settled.trainer.accumulate_grad_batches = batches
    return settled


def last_step(settings: Any, batches: int | None) -> int:
    """Return the step after which training ends: the first of trainer.max_steps and trainer.max_epochs.

    Args:
        settings: The node `trainer` of the config.
        batches: As for `build_trainer`.

    Raises:
        ConfigError: Only epochs are limited, and their length is not known.
    """
    of_epochs = None
    if settings.max_epochs is not None and batches is not None:
        of_epoch = _batches_used(settings, batches) or batches
        of_epochs = settings.max_epochs * of_epoch // settings.accumulate_grad_batches
    if settings.max_steps is None and of_epochs is None:
        what = "the data are a stream, and the length of an epoch is not known; set trainer.max_steps instead"
        raise ConfigError([Problem("trainer.max_epochs", what)])
    if settings.max_steps is not None and of_epochs is not None and settings.max_steps < of_epochs:
        first = f"trainer.max_steps={settings.max_steps} ends training before trainer.max_epochs={settings.max_epochs}"
        log.info("%s, which is %s; trainer.max_steps=null trains them all", first, plural(of_epochs, "step"))
    return int(min(number for number in (settings.max_steps, of_epochs) if number is not None))


def _batches_used(settings: Any, batches: int | None) -> int | None:
    """Return the batches of an epoch that are trained on; None for all of a stream."""
    known = [number for number in (batches, settings.limit_train_batches) if number is not None]
    return _whole_steps(min(known), settings.accumulate_grad_batches) if known else None


def _whole_steps(batches: int, accumulate: int) -> int:
    """Round the batches of an epoch down to whole optimiser steps."""
    if batches < accumulate:
        raise InputError(
            f"trainer.accumulate_grad_batches={accumulate}: an epoch has only {plural(batches, 'batch')}; "
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
