"""Build the components of a run from its config."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
import transformers
from omegaconf import DictConfig
from pytorch_lightning import Callback, LightningDataModule, seed_everything
from pytorch_lightning.callbacks import ProgressBar, Timer
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from aigc.callbacks import Progress
from aigc.config import build, factory
from aigc.config.build import target_class
from aigc.config.monitor import better, checkpoint_monitor, with_mode
from aigc.config.problems import ConfigError, Problem
from aigc.config.targets import signature
from aigc.data.base import PreparedData
from aigc.data.random_streams import Stream, stream_seed
from aigc.distributed.data_rank import data_rank
from aigc.evaluation.base import Evaluation
from aigc.launch import data_state
from aigc.launch.length import takes_total_steps
from aigc.launch.ranks.group import read_ranks
from aigc.logger import MetricsFileLogger
from aigc.logger.lightning import logger_arguments, resume_from_step
from aigc.models import ModelFactory
from aigc.runs import Run
from aigc.runs.files import set_write_patience
from aigc.tasks import Task

T = TypeVar("T")


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


def build_data(cfg: DictConfig, model: Path | None = None, only_validation: bool = False) -> Any:
    """Build the data module and prepare its data.

    Args:
        cfg: The config.
        model: A checkpoint or a run's model/ that the data are for, whose state learned from data is kept; None takes
            the model that training starts from, if it comes from a run.
        only_validation: Whether nothing is trained, see `PreparedData`.

    Raises:
        InputError: The data cannot be used, do not fit the model, or hold what that model does not know.
    """
    data = build(cfg.data, LightningDataModule, "data")
    factory = build(cfg.model, ModelFactory, "model") if cfg.get("model") else None
    is_checkpoint = model is not None and model.suffix == ".ckpt"
    if factory and not is_checkpoint:
        (factory.from_folder(model) if model else factory).check_data(data)
    if model is None:
        state = data_state.held(factory.folder) if factory and factory.folder else {}
    else:
        state = data_state.of_checkpoint(model, data) if is_checkpoint else data_state.of_model(model)
    if state:
        data.load_state_dict(state)
    if isinstance(data, PreparedData):
        data.only_validation = only_validation
    data.prepare_data()
    data.setup("fit")
    return data


def build_task(cfg: DictConfig, data: Any, weights: Path | None = None) -> Task:
    """Build the task with its model, from random or pretrained weights, or from a run's model folder."""
    model = build(cfg.model, ModelFactory, "model")
    if weights is not None:
        model = model.from_folder(weights)
    optimizer = factory(cfg.optimizer, torch.optim.Optimizer, "optimizer")
    scheduler = build_schedule(cfg) if cfg.scheduler else None
    task = build(cfg.task, Task, "task", model=model.create(data), optimizer=optimizer, scheduler=scheduler)
    task.schedule_monitor = (cfg.scheduler or {}).get("monitor") or (checkpoint_monitor(cfg) or (None,))[0]
    _check_fit(cfg, task)
    return task


def _check_fit(cfg: DictConfig, task: Task) -> None:
    """Check what would fail only after the last step, or with a less clear message from Lightning."""
    if type(task).save_model is Task.save_model:
        task.save_model(Path())  # raises an error that names what is missing
    if task.saved_model is not None:
        target_class(task.saved_model, object, f"{type(task).__name__}.saved_model")
    task.check_trainer(cfg.trainer)


def build_schedule(cfg: DictConfig) -> Callable[..., LRScheduler]:
    """Return a factory of schedules, which passes the number of steps to those that take it."""
    node = dict(cfg.scheduler.items())
    follows = issubclass(target_class(node["_target_"], LRScheduler, "scheduler"), ReduceLROnPlateau)
    if follows and "monitor" not in signature(node["_target_"]).parameters:
        monitor, best = node.pop("monitor", None), checkpoint_monitor(cfg)
        mode = better(cfg, monitor) if monitor else best[1] if best else None
        if mode is not None:
            node.setdefault("mode", mode)
    make, is_told = factory(DictConfig(node), LRScheduler, "scheduler"), takes_total_steps(node)

    def scheduler(optimizer: torch.optim.Optimizer, total_steps: int) -> LRScheduler:
        return make(optimizer=optimizer, **({"total_steps": total_steps} if is_told else {}))

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
    built = {key: _build_part(with_mode(cfg, node), Callback, key) for key, node in nodes.items() if node is not None}
    for key, callback in built.items():
        if isinstance(callback, Evaluation):
            callback.bind(key, cfg.trainer.limit_evaluation_samples)
    if any(isinstance(callback, ProgressBar) for callback in built.values()):  # a terminal shows one of them
        return {key: callback for key, callback in built.items() if not isinstance(callback, Progress)}
    return built


def _build_part(node: DictConfig, expect: type[T], key: str, **supplied: Any) -> T:
    """Build a node that may be of Lightning, which has an error of its own for wrong values and missing packages."""
    try:
        return build(node, expect, key, **supplied)
    except (MisconfigurationException, ModuleNotFoundError) as error:
        raise ConfigError([Problem(key, " ".join(str(error).split()))]) from error


def time_limit(cfg: DictConfig, callbacks: Iterable[Callback]) -> dict[str, Callback]:
    """Return the callback of trainer.max_time by its key; none without it.

    Raises:
        ConfigError: There is another Timer.
    """
    if cfg.trainer.max_time is None:
        return {}
    if any(isinstance(callback, Timer) for callback in callbacks):
        raise ConfigError([Problem("trainer.max_time", "a Timer among the callbacks has a limit of its own; set one")])
    return {"trainer.max_time": Timer(cfg.trainer.max_time, verbose=False)}


def build_loggers(cfg: DictConfig, run: Run, step: int = 0) -> list[Logger]:
    """Build the logger of metrics.jsonl and those of the config; only the first rank has any.

    Args:
        cfg: The config.
        run: The run whose folder they write to.
        step: The step of the checkpoint that the run resumes from.
    """
    if not read_ranks().first:
        return []
    nodes = {f"logger.{name}": node for name, node in (cfg.logger or {}).items() if node}
    chosen = [_build_part(node, Logger, key, **logger_arguments(node, run)) for key, node in nodes.items()]
    for logger in chosen:
        resume_from_step(logger, step)
    return [MetricsFileLogger(run), *chosen]
