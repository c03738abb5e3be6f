"""The sections of a config and the slots of `_target_` nodes. The docstring of a field is its help text."""

import ast
import dataclasses
import inspect
import typing
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

from aigc.config.types import Bound, Fields, Parameter, Slot

CALLBACK = "pytorch_lightning.Callback"
INNER_SLOTS = {"adapter": "model.adapter"}
"""Config groups whose choices fill a slot inside another one; their files say so in `# @package`."""
_MONITOR = Parameter("monitor", str | None, doc="Value to follow; null takes the one that chooses the best checkpoint.")
_OF_PLATEAU = (("torch.optim.lr_scheduler.ReduceLROnPlateau", _MONITOR),)


@dataclass
class Trainer:
    """Length and settings of training; named as in Lightning where it has the same setting."""

    max_steps: Annotated[int, Bound(1)] | None = 1000
    """Optimiser steps to train for; null leaves it to max_epochs."""
    max_epochs: Annotated[int, Bound(1)] | None = None
    """Passes over the data to train for; with max_steps, the first that is reached ends training."""
    max_time: str | None = None
    """Training time after which the run ends, validated and saved, as "days:hours:minutes:seconds"; attempts add up."""
    min_steps: Annotated[int, Bound(1)] | None = None
    """Optimiser steps before early stopping, max_time or another callback may end the run."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """Device to run on: a GPU if there is one (auto), or a given kind."""
    devices: Annotated[int, Bound(1)] | Literal["auto"] = 1
    """Devices on each node, one rank per device; auto, the value in trainer=ddp and fsdp, uses all GPUs, or one rank
    on a machine without a GPU."""
    nodes: Annotated[int, Bound(1)] = 1
    """Machines; more than one needs a cluster with a queue, whose cluster.nodes sets this."""
    strategy: Literal["auto", "ddp", "fsdp", "model_parallel"] = "auto"
    """How ranks share the work: each has all weights (ddp, same as auto), shards that are gathered to compute (fsdp),
    or a part of each layer that it computes with (model_parallel)."""
    tensor_parallel_size: Annotated[int, Bound(1)] = 1
    """Ranks that compute each batch together, with model_parallel; data.batch_size is the size of that batch."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true"] = "auto"
    """Number format; auto uses bf16-mixed where the machine is faster with it, else 32-true."""
    accumulate_grad_batches: Annotated[int, Bound(1)] = 1
    """Batches per optimiser step; the loss is normalised over all of them."""
    target_tokens_per_step: Annotated[int, Bound(1)] | None = None
    """Tokens per optimiser step of all ranks, in place of accumulate_grad_batches, which follows from data.batch_size
    and data.sequence_length. Rows count whole: packed ones are almost full, others have padding."""
    gradient_clip_val: Annotated[float, Bound(0)] | None = 1.0
    """Largest gradient norm; null switches clipping off."""
    validate_every_n_steps: Annotated[int, Bound(1)] | None = None
    """Optimiser steps between validations; null validates only at the end."""
    log_every_n_steps: Annotated[int, Bound(1)] = 10
    """Optimiser steps between logged values."""
    limit_train_batches: Annotated[int, Bound(1)] | None = None
    """Largest number of training batches per epoch; null uses all."""
    limit_val_batches: Annotated[int, Bound(1)] | None = None
    """Largest number of validation batches; null uses all."""
    limit_evaluation_samples: Annotated[int, Bound(1)] | None = None
    """Largest number of samples that each evaluation generates; null sets no limit."""
    num_threads: Annotated[int, Bound(1)] | None = None
    """CPU threads of torch; null uses torch's default. Reproducible numbers need the same number of threads."""
    deterministic: bool | Literal["warn"] = True
    """Use deterministic algorithms, and fail (true) or warn where there are none; false allows others. On CPUs no cost
    was measured; GPUs can lose tens of percent of their speed, as fast kernels add in any order."""
    detect_anomaly: bool = False
    """Find the operation that produced a NaN; slow."""
    profiler: Literal["simple", "advanced"] | None = None
    """Time Lightning's hooks and write the report to the run folder."""


@dataclass
class Paths:
    """Folders for outputs and caches."""

    outputs: str = "outputs"
    """Run folders go to <outputs>/runs."""
    cache: str = "~/.cache/aigc"
    """Prepared data, shared by all runs."""


@dataclass
class RunSettings:
    """The run folder, and what to do when it exists."""

    id: str | None = None
    """Name of the run folder; null makes one from the experiment and the time."""
    resume: Literal["auto"] | None = None
    """auto resumes the newest run of the same config if there is one, else starts: one command for job scripts."""
    patience: Annotated[float, Bound(0)] = 60.0
    """Seconds to retry when the disk is full or not writable, before the run fails."""


@dataclass
class Resume:
    """How a run resumes from a checkpoint."""

    allow: list[Literal["batch_size", "data", "world_size", "seed", "order", "precision"]] = field(default_factory=list)
    """What may differ from the checkpoint; results then differ from those of an uninterrupted run."""


@dataclass
class Sweep:
    """The trials of a sweep, and how they run."""

    kind: Literal["grid", "random", "list", "optuna"] = "grid"
    """All combinations (grid), random ones (random), the lines of a file (list), or Optuna's choice (optuna)."""
    trials: Annotated[int, Bound(1)] | None = None
    """Draws of a random sweep, each with every listed seed, or trials of a search; 20 with sweep=random or optuna."""
    path: str | None = None
    """File of a list, with the overrides of one trial per line."""
    seed: Annotated[int, Bound(0)] = 0
    """Seed of a random sweep or of Optuna; the key `seed` is that of the trials."""
    monitor: str | None = None
    """Metric that Optuna optimises; null uses the one that chooses checkpoints."""
    direction: Literal["minimize", "maximize"] | None = None
    """Which values are better; null takes what checkpoints, task or a metric say of the monitor."""
    pruner: Literal["median", "halving", "hyperband"] | None = None
    """Optuna's pruner, which stops poor trials early (median with sweep=optuna); null stops none."""
    name: str | None = None
    """Name of the sweep folder; null makes one from the trials. A sweep with a name can be extended."""
    workers: Annotated[int, Bound(1)] | None = None
    """Concurrent trials; null runs one per GPU, or one per CPU core, and one in a job array without GPUs."""
    per_task: Annotated[int, Bound(1)] = 1
    """Trials per task of a job array, which run one after another or on the devices of the task."""
    at_once: Annotated[int, Bound(1)] | None = None
    """Concurrent tasks of a job array; null leaves it to the cluster."""
    max_failures: Annotated[int, Bound(0)] | None = None
    """Start no more trials once more than so many have failed under one command; null sets no limit."""


@dataclass
class Config:
    """The config of one run of an experiment."""

    task: Annotated[Any, Slot("aigc.tasks.Task", ("model", "optimizer", "scheduler"))]
    """The task: what is learned and how."""
    model: Annotated[Any, Slot("aigc.models.ModelFactory")]
    """The model."""
    data: Annotated[Any, Slot("pytorch_lightning.LightningDataModule")]
    """The data."""
    optimizer: Annotated[Any, Slot("torch.optim.Optimizer", ("params",))]
    """The optimiser."""
    trainer: Trainer
    """How long and how training runs."""
    paths: Paths
    """Folders for outputs and caches."""
    run: RunSettings
    """The run folder, and what to do when it exists."""
    resume: Resume
    """How a run resumes from a checkpoint."""
    sweep: Sweep
    """The trials of a sweep, and how they run."""
    scheduler: Annotated[
        Any,
        Slot(
            "torch.optim.lr_scheduler.LRScheduler",
            ("optimizer", "total_steps"),
            optional=True,
            extra=_OF_PLATEAU,
        ),
    ] = None
    """Schedule of the learning rate; null keeps it constant."""
    evaluation: Annotated[Any, Slot("aigc.evaluation.Evaluation", named=True)] = None
    """Evaluations of generated samples; null switches all off."""
    callbacks: Annotated[Any, Slot(CALLBACK, named=True)] = None
    """Other callbacks; null switches all off, including checkpoints."""
    logger: Annotated[Any, Slot("pytorch_lightning.loggers.logger.Logger", ("run",), named=True)] = None
    """Loggers besides metrics.jsonl; null switches all off."""
    cluster: Annotated[Any, Slot("aigc.launch.clusters.Cluster", optional=True)] = None
    """Where runs execute; null means this machine."""
    experiment: str = "train"
    """The experiment's name; a run's id starts with it."""
    seed: Annotated[int, Bound(0, 2**32 - 1)] = 0
    """Seed of all random numbers."""


def sections() -> dict[str, Fields]:
    """Return the sections that have a dataclass, by key."""
    hints = typing.get_type_hints(Config).items()
    return {name: fields_of(hint) for name, hint in hints if isinstance(hint, type) and dataclasses.is_dataclass(hint)}


def slots() -> dict[str, Slot]:
    """Return the slots of `_target_` nodes by key."""
    hints = typing.get_type_hints(Config, include_extras=True)
    found = {name: _slot(hint) for name, hint in hints.items()}
    return {name: slot for name, slot in found.items() if slot is not None}


def slot_of(group: str) -> str | None:
    """Return the key of the slot that a choice of a config group fills; None for other groups."""
    return INNER_SLOTS.get(group, group if group in slots() else None)


def is_single(group: str) -> bool:
    """Return whether two choices of a config group cannot be merged: experiments, and slots that hold one node."""
    slot = slots().get(group)
    return group == "experiment" or group in INNER_SLOTS or (slot is not None and not slot.named)


@cache
def fields_of(section: type) -> Fields:
    """Return the fields of a dataclass with types, defaults and help texts."""
    hints = typing.get_type_hints(section, include_extras=True)
    docs = field_docs(section)
    parameters = {}
    for f in dataclasses.fields(section):
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        default = None if required else f.default
        if f.default_factory is not dataclasses.MISSING:
            default = f.default_factory()
        parameters[f.name] = Parameter(f.name, hints[f.name], required, default, docs.get(f.name, ""))
    return Fields(section.__name__, parameters)


def field_docs(section: type) -> dict[str, str]:
    """Return the string below each field of a dataclass."""
    body = ast.parse(inspect.getsource(section)).body[0]
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        is_field = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if is_field and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            docs[statement.target.id] = " ".join(str(following.value.value).split())  # type: ignore[attr-defined]
    return docs


def _slot(hint: Any) -> Slot | None:
    extras = typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()
    return next((extra for extra in extras if isinstance(extra, Slot)), None)
