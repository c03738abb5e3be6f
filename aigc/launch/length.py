"""The length of a run that has begun: more steps for a finished one, and what a schedule makes of another length."""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from aigc.config.class_sources import TargetError
from aigc.config.targets import is_subclass, signature
from aigc.errors import InputError
from aigc.printing import plural
from aigc.runs import Run
from aigc.runs.checkpoints import newest_step
from aigc.runs.metrics_file import read_lines

LIMITS = ("max_steps", "max_epochs", "max_time")
"""The settings of the trainer that end a run; another value lets a finished run take more steps."""


def check_length(run: Run, cfg: DictConfig) -> None:
    """Check that a config asks for no fewer steps than a run has done.

    Raises:
        InputError: It asks for fewer.
    """
    settings, done = cfg.get("trainer"), newest_step(run.checkpoints)
    if done is None or not isinstance(settings, Mapping):
        return
    most = settings.get("max_steps")
    if isinstance(most, int) and most < done:
        raise InputError(
            f"trainer.max_steps={most}: step {done} of {run.id} is saved already; "
            f"give at least {done}, or start a new run with fewer steps"
        )
    epochs, epoch = settings.get("max_epochs"), _epoch_of(run, done)
    if isinstance(epochs, int) and epochs < epoch:
        raise InputError(
            f"trainer.max_epochs={epochs}: step {done} of {run.id} is saved already and belongs to epoch {epoch}; "
            f"give at least {epoch}, or start a new run with fewer epochs"
        )


def _epoch_of(run: Run, step: int) -> int:
    """Return the epoch of a step, counted from 1, by the values recorded up to it; 1 where there are none."""
    epochs = (int(row["epoch"]) for row in read_lines(run.path / "metrics.jsonl") if row["step"] <= step)
    return max(epochs, default=0) + 1


def is_longer(run: Run, before: DictConfig, after: DictConfig) -> bool:
    """Return whether a config trains a finished run further than the config it was trained with.

    It has another limit of its length, or other callbacks where one of them ended the run early.

    Args:
        run: The finished run.
        before: The config of its last attempt.
        after: The config of the attempt to come.

    Raises:
        InputError: It does, and the run cannot be trained further.
    """
    changed = [name for name in LIMITS if before.trainer.get(name) != after.trainer.get(name)]
    others = before.get("callbacks") != after.get("callbacks") and _ended_early(run, before)
    if not changed and not others:
        return False
    if not others:
        _check_ending(run, before, changed)
    if run.record.until_step is not None:
        raise InputError(
            f"{run.id} reproduces the first {plural(run.record.until_step, 'step')} of another run; start a new run"
        )
    if newest_step(run.checkpoints) is None:
        raise InputError(
            f"{run.id} is finished and has no checkpoint to continue from; start a new run with more steps"
        )
    spanning = [key for key in length_dependent(before) if key.startswith("scheduler")]
    if spanning and changed not in ([], ["max_time"]) and not schedule_extends(before):
        name = str(before.scheduler.get("_target_")).rpartition(".")[2]
        raise InputError(
            f"{run.id} is finished, and so is its schedule: {name} was made for {described_length(before)} "
            f"({', '.join(spanning)}) and cannot be extended; start a new run with more steps"
        )
    return True


def _ended_early(run: Run, before: DictConfig) -> bool:
    """Return whether a finished run ended before its last step: by its epochs, its time, or a callback."""
    most, done = before.trainer.get("max_steps"), newest_step(run.checkpoints) or 0
    return most is None or done < most


def _check_ending(run: Run, before: DictConfig, changed: Sequence[str]) -> None:
    """Check that one of the changed limits is among those that can have ended a finished run, if any of them can.

    Raises:
        InputError: None is, so that it would take no step.
    """
    ending = _ending_limits(run, before)
    if newest_step(run.checkpoints) is None or not ending or set(changed) & set(ending):
        return
    ended = " or ".join(
        [*(f"trainer.{name}={before.trainer[name]}" for name in ending), *_ending_callbacks(run, before)]
    )
    raise InputError(
        f"{run.id} is finished: {ended} ended it at step {newest_step(run.checkpoints)}, so another "
        f"{' and '.join(f'trainer.{name}' for name in changed)} has no effect; change what ended it, too"
    )


def _ending_limits(run: Run, before: DictConfig) -> list[str]:
    """Return the limits that can have ended a finished run; none where only a callback can."""
    if not _ended_early(run, before):
        return ["max_steps"]
    return [name for name in ("max_epochs", "max_time") if before.trainer.get(name) is not None]


def _ending_callbacks(run: Run, before: DictConfig) -> list[str]:
    """Return the keys of the callbacks that may have ended a finished run."""
    if not _ended_early(run, before):
        return []
    nodes = {name: node for name, node in (before.get("callbacks") or {}).items() if node}
    bases = [f"pytorch_lightning.callbacks.{name}" for name in ("EarlyStopping", "Timer")]
    return [
        f"callbacks.{name}"
        for name, node in nodes.items()
        if any(is_subclass(str(node.get("_target_")), base) for base in bases)
    ]


def what_extends(run: Run, before: DictConfig) -> str:
    """Return what trains a finished run further, as `trainer.max_steps=N`, by what can have ended it.

    Args:
        run: The finished run.
        before: The config of its last attempt.
    """
    limits = [f"a larger trainer.{name} than {before.trainer[name]}" for name in _ending_limits(run, before)]
    return " or ".join([*limits, *(f"another {key}" for key in _ending_callbacks(run, before))]) or "another end"


def no_step_taken(run: Run, cfg: DictConfig, step: int, reason: str | None) -> InputError:
    """Return the error of a finished run that was asked for more steps, and takes none.

    Args:
        run: The run.
        cfg: The config of this attempt.
        step: The step at which it began and ended.
        reason: Why it ended before its last step; None where it is at its last step.
    """
    most = cfg.trainer.max_steps
    name = "max_steps" if most is not None and most <= step else "max_epochs"
    why = (reason or f"trainer.{name}={cfg.trainer[name]} ends it there").rstrip(".")
    return InputError(f"{run.id} is finished at step {step}, and this takes no more steps: {why}. Change that, too")


def described_length(cfg: DictConfig) -> str:
    """Return the length that a schedule is made for: `500 steps`, or the first of `500 steps or 3 epochs`."""
    given = {unit: cfg.trainer.get(f"max_{unit}s") for unit in ("step", "epoch")}
    return " or ".join(plural(value, unit) for unit, value in given.items() if value is not None)


def schedule_extends(cfg: DictConfig) -> bool:
    """Return whether a schedule follows another number of steps when it resumes.

    One that computes each rate from the first one does. Others change the rate of the step before, and keep the number
    of steps in their state.
    """
    target = str((cfg.get("scheduler") or {}).get("_target_"))
    return is_subclass(target, "torch.optim.lr_scheduler.LambdaLR") is True


def length_dependent(cfg: DictConfig) -> list[str]:
    """Return the keys of a config whose effect spans `trainer.max_steps`: with another length, earlier steps differ.

    These are a schedule that is told the number of steps, keys that refer to it, and `final_` values of penalties,
    which are reached at the last step.
    """
    plain = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(plain, dict)
    keys = [key for section in ("scheduler", "optimizer", "task") for key in _spanning(section, plain.get(section))]
    node, steps = plain.get("scheduler"), cfg.trainer.max_steps
    if isinstance(node, Mapping):
        keys += ["scheduler"] if takes_total_steps(node) else []
        # A frozen config holds the number to which `${trainer.max_steps}` was resolved.
        keys += [f"scheduler.{name}" for name, value in node.items() if type(value) is int and value == steps]
    return sorted(set(keys))


def takes_total_steps(node: Mapping[Any, Any]) -> bool:
    """Return whether a schedule is told the number of steps: it takes it, and the config does not give it."""
    try:
        return "total_steps" in signature(str(node.get("_target_"))).parameters and "total_steps" not in node
    except TargetError:
        return False


def _spanning(key: str, value: Any) -> list[str]:
    """Return the keys below one that refer to the length, or are `final_` values of a task."""
    if isinstance(value, Mapping):
        return [found for name, item in value.items() for found in _spanning(f"{key}.{name}", item)]
    is_final = key.startswith("task.") and key.rpartition(".")[2].startswith("final_") and value is not None
    return [key] if is_final or "${trainer.max_steps}" in str(value) else []
