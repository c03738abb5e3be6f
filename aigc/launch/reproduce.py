"""Train a run's frozen config again in a new run folder, and compare the numbers."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from aigc.config import check
from aigc.config.compose import override
from aigc.config.identity import identity
from aigc.config.problems import ConfigError
from aigc.errors import DivergedRun, InputError
from aigc.launch.attempt import CHANGEABLE, attempt_config
from aigc.launch.length import LIMITS, length_dependent
from aigc.launch.prepared_run import PreparedRun
from aigc.runs import Run
from aigc.runs.compare import MetricsComparison, WeightsComparison, compare_metrics, compare_weights, logged_steps
from aigc.runs.console import log
from aigc.runs.drift import Drift, drift, likely_cause
from aigc.runs.files import sha256_file
from aigc.runs.locate import CONFIG_FILE
from aigc.runs.origin import new_manifest
from aigc.runs.status import Status

_METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Reproduction:
    """Result of training a run again.

    Attributes:
        run: The run.
        new: The run that trained the same config again.
        metrics: Comparison of their metrics.jsonl.
        weights: Comparison of their weights; None where one of them has no model.
        drifts: What differs from the time when the run was made.
        diverged: Why the new run ended early, if its loss was not finite.
    """

    run: Run
    new: Run
    metrics: MetricsComparison
    weights: WeightsComparison | None
    drifts: Sequence[Drift]
    diverged: str | None = None

    @property
    def identical(self) -> bool:
        """Whether all compared numbers are the same."""
        return self.metrics.identical and (self.weights is None or self.weights.identical) and not self.diverged

    @property
    def cause(self) -> str | None:
        """The likely cause of a difference in one sentence; None when there is none."""
        return None if self.identical else likely_cause(self.drifts, self.run.config.trainer.deterministic is True)


def reproduce(
    run: Run,
    steps: int | None = None,
    command: Sequence[str] | None = None,
    on_start: Callable[[Run], None] | None = None,
) -> Reproduction:
    """Log what has changed since a run was made, train its config again, and compare.

    Args:
        run: A run with logged values; one that did not finish is reproduced up to its last logged step.
        steps: Train only so many steps, with the schedule of the whole run; None means as many as the run has.
        command: The command line for the manifest; None means that of this process.
        on_start: Called with the new run before it trains.

    Raises:
        InputError: The run cannot be reproduced, or its data are missing.
        AigcError: The new run was stopped or failed.
    """
    then = run.manifest
    _check_settings_unchanged(run)
    until = _last_step_to_train(run, steps)
    cfg = _config(run)
    report = _Report(run, then)
    report.log_new(new_manifest(run.id, command=[], ignore=run.path.parent).as_dict())
    check(cfg)  # before torch is imported
    # `run.resume=auto` resumes the newest run with the same identity, which must not be a reproduction.
    notes = {"reproduces": run.id, "identity": None} | ({} if until is None else {"until_step": until})
    prepared = _start(cfg, then, command, notes)
    new_run = prepared.run
    if on_start is not None:
        on_start(new_run)
    report.log_new({**new_run.manifest, **_machine(cfg, new_run)}, last=True)
    diverged = _work(prepared)
    after = new_run.manifest
    drifts = report.log_new(after)
    return Reproduction(
        run=run,
        new=new_run,
        metrics=compare_metrics(run.path / _METRICS, new_run.path / _METRICS, until),
        weights=compare_weights(then, after)
        if until is None and not diverged and not _is_of_earlier_end(run)
        else None,
        drifts=drifts,
        diverged=diverged,
    )


def _is_of_earlier_end(run: Run) -> bool:
    """Return whether the model is that of an end before more steps, which a run of all steps does not validate."""
    result = run.record.result
    if result is None or not result.earlier_end:
        return False
    log.info("the weights of %s are those of step %s, an earlier end: not compared", run.id, result.best_step)
    return True


class _Report:
    """Logs each drift once, as soon as it is known."""

    def __init__(self, run: Run, then: dict[str, Any]) -> None:
        self._run = run
        self._then = then
        self._logged: set[Drift] = set()

    def log_new(self, now: dict[str, Any], last: bool = False) -> list[Drift]:
        """Return all drifts, and log those that are new; `last` marks the last call before training."""
        # A new run's config.yaml has another layout, so the run's own file is compared.
        config = {"config_sha256": sha256_file(self._run.path / CONFIG_FILE), "seed": self._run.config.get("seed")}
        drifts = drift(self._then, {**now, **config})
        for found in drifts:
            if found not in self._logged:
                log.warning("drift since %s: %s", self._run.id, found)
        self._logged.update(drifts)
        if last and not self._logged:
            log.info("no drift: config, data, code, packages, hardware and threads are those of %s", self._run.id)
        return drifts


def _machine(cfg: DictConfig, new_run: Run) -> dict[str, Any]:
    """Describe the machine as far as it is known before training."""
    from aigc.launch.components import prepare_machine
    from aigc.launch.hardware import describe_devices, describe_threads
    from aigc.launch.trainer import resolve_precision

    prepare_machine(cfg)
    alone = cfg.trainer.devices == 1  # ranks that have not started yet have their own threads
    return {
        "hardware": new_run.manifest["hardware"] | describe_devices(),
        **({"threads": describe_threads()} if alone else {}),
        "precision": resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator),
    }


def _work(prepared: PreparedRun) -> str | None:
    """Train; return the message of a divergence, if there was one."""
    from aigc.launch.run_local import run_local

    try:
        run_local(prepared)
    except DivergedRun as error:
        return str(error)
    return None


def _check_settings_unchanged(run: Run) -> None:
    frozen = run.config
    # Where no schedule depends on it, another length changes none of the earlier numbers.
    longer = () if length_dependent(frozen) else tuple(f"trainer.{name}=" for name in LIMITS)
    for number, attempt in enumerate(run.record.attempts, 1):
        changes = [text for text in attempt.overrides if not text.startswith(longer)]
        changed = changes and not attempt.was_refused
        if changed and identity(override(frozen, changes, CHANGEABLE)) != identity(frozen):
            raise InputError(
                f"{run.id} was resumed with other settings at step {attempt.from_step} (attempt {number}: "
                f"{' '.join(attempt.overrides)}), so no single config gives its numbers. "
                "Reproduce a run that kept its settings."
            )


def _last_step_to_train(run: Run, steps: int | None) -> int | None:
    """Return the step to stop at; None is the end of training."""
    logged = logged_steps(run.path / _METRICS)
    if not logged:
        raise InputError(
            f"{run.id} has no logged values, so there is nothing to compare with; train it with `aigc train`"
        )
    first, last = logged[0], logged[-1]
    finished = run.status is Status.FINISHED and run.record.until_step is None
    if steps is not None and not first <= steps <= last:
        raise InputError(
            f"--steps {steps}: {run.id} logged values from step {first} to {last}; give a step in this range"
        )
    if steps is None and not finished:
        log.info("%s is %s: training it again up to step %d, its last logged step", run.id, run.status, last)
    return None if finished and steps in (None, last) else steps or last


def _config(run: Run) -> DictConfig:
    """Return the frozen config; the new run is placed beside the old one where that folder is writable."""
    cfg = attempt_config(run)
    cfg.run.id = cfg.run.resume = None
    folder = run.path.absolute().parent
    if folder.name == "runs" and os.access(folder, os.W_OK):
        cfg.paths.outputs = str(folder.parent)
    return cfg


def _start(cfg: DictConfig, then: dict[str, Any], command: Sequence[str] | None, notes: dict[str, Any]) -> PreparedRun:
    from aigc.launch.start import start

    try:
        return start(cfg, [], command, **notes)
    except ConfigError:
        raise
    except InputError as error:
        folder = then.get("cwd")
        if not folder or folder == str(Path.cwd()):
            raise
        raise InputError(f"{error} The run was started in {folder}; relative paths refer to that folder.") from error
