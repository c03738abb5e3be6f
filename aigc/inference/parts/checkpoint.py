"""A task as one of a run's checkpoints holds it."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig

from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.config.compose import fill_defaults
from aigc.errors import InputError
from aigc.launch import components
from aigc.runs import Run
from aigc.runs.checkpoints import BEST, LAST, CheckpointFolder, damage, step_of
from aigc.runs.console import log
from aigc.tasks import Task


class Loaded(NamedTuple):
    """The content of a checkpoint."""

    task: Task
    """With the checkpoint's weights, on the CPU."""
    data: Any
    """The data module of the config, prepared."""
    step: int


def checkpoint_file(run: Run, name: str) -> Path:
    """Return the file of a checkpoint.

    Args:
        run: The run.
        name: last, best, or step-N.

    Raises:
        InputError: There is none of that name; the message lists those that there are.
    """
    folder = CheckpointFolder(run.checkpoints)
    step = re.fullmatch(r"step-(\d{1,18})", name, re.ASCII)
    path = folder.file(int(step[1])) if step else run.checkpoints / {"last": LAST, "best": BEST}.get(name, "")
    if path != run.checkpoints and path.exists():
        return path
    named = [one for one, file in (("last", LAST), ("best", BEST)) if (run.checkpoints / file).is_file()]
    steps = sorted(step_of(file) for file in run.checkpoints.glob("step-*.ckpt"))
    there = ", ".join([*named, *(f"step-{number}" for number in steps)])
    has = f"it has {there}" if there else f"it has none yet (status {run.status})"
    raise InputError(f"{run.id} has no checkpoint {name!r}: {has}")


def best_or_last(run: Run) -> str:
    """Return the name of the checkpoint whose weights a finished run leaves."""
    return "best" if (run.checkpoints / BEST).exists() else "last"


def load_task(run: Run, name: str, cfg: DictConfig | None = None) -> Loaded:
    """Build a run's task and load the weights of a checkpoint into it.

    Args:
        run: The run.
        name: As for `checkpoint_file`.
        cfg: The run's config, or one that differs in data; None takes the run's.

    Raises:
        ConfigError, InputError: The run's config no longer builds what it did, or there is no such checkpoint, or it
            is damaged or of another model.
    """
    path = checkpoint_file(run, name).resolve()
    if reason := damage(path):
        raise InputError(f"{run.id}: {reason}. Put a good one back, or name another.")
    if cfg is None:
        cfg = run.config
        fill_defaults(cfg)  # runs of an older version have fewer keys
    components.prepare_machine(cfg)
    data = components.build_data(cfg, path)
    task = components.build_task(cfg, data)
    checkpoint = AtomicCheckpointIO().load_checkpoint(path)
    try:
        task.load_checkpoint(checkpoint)
    except RuntimeError as error:
        reasons = [line.strip() for line in str(error).splitlines()[1:4]]
        shown = " ".join(line if len(line) < 160 else line[:150] + " ..." for line in reasons)
        raise InputError(
            f"{path} does not fit the model that the config and the code of {run.id} now make. {shown}"
        ) from error
    log.info("%s: step %d", run.id, step_of(path))
    return Loaded(task, data, step_of(path))
