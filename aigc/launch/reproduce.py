"""Trains a run's frozen config again in a run folder of its own, and sees whether the numbers are the same."""

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
from aigc.launch.prepared import PreparedRun
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
    """What came of training a run again.

    Attributes:
        run: The run.
        made: The run that trained the same config again.
        metrics: Their metrics.jsonl compared.
        weights: Their weights compared; None when one of them ended before it had a model.
        drifts: What is not as it was when the run was made.
        diverged: Why the new run ended early, if its loss was no finite number.
    """

    run: Run
    made: Run
    metrics: MetricsComparison
    weights: WeightsComparison | None
    drifts: Sequence[Drift]
    diverged: str | None = None

    @property
    def identical(self) -> bool:
        """Whether every number that both must have is the same."""
        return self.metrics.identical and (self.weights is None or self.weights.identical) and not self.diverged

    @property
    def cause(self) -> str | None:
        """One sentence on why they differ; None when they do not."""
        return None if self.identical else likely_cause(self.drifts, self.run.config.trainer.deterministic is True)


def reproduce(
    run: Run,
    steps: int | None = None,
    command: Sequence[str] | None = None,
    began: Callable[[Run], None] | None = None,
) -> Reproduction:
    """Report what has changed since a run was made, train its config again, and compare.

    Args:
        run: A run that has logged something; one that did not finish is reproduced up to the last step it logged.
        steps: Train only so many steps, with the schedule of the whole run; None means as far as the run came.
        command: The command line for the manifest; None means this process's.
        began: Called with the new run before it trains.

    Raises:
        InputError: The run cannot be reproduced, or its data are missing.
        AigcError: The new run was stopped or failed.
    """
    then = run.manifest
    _check_settings_unchanged(run)
    until = _last_step_to_train(run, steps)
    cfg = _config(run)
    report = _Report(run, then)
    report.tell(new_manifest(run.id, command=[], ignore=run.path.parent).as_dict())
    check(cfg)  # before torch is imported
    # `run.resume=auto` goes on with the newest run of the same identity, which is never a reproduction of it.
    notes = {"reproduces": run.id, "identity": None} | ({} if until is None else {"until_step": until})
    prepared = _start(cfg, then, command, notes)
    made = prepared.run
    if began is not None:
        began(made)
    report.tell({**made.manifest, **_machine(cfg, made)}, last=True)
    diverged = _work(prepared)
    new = made.manifest
    drifts = report.tell(new)
    return Reproduction(
        run=run,
        made=made,
        metrics=compare_metrics(run.path / _METRICS, made.path / _METRICS, until),
        weights=compare_weights(then, new) if until is None and not diverged else None,
        drifts=drifts,
        diverged=diverged,
    )


class _Report:
    """Tells each drift once, as soon as it is known."""

    def __init__(self, run: Run, then: dict[str, Any]) -> None:
        self._run = run
        self._then = then
        self._told: set[Drift] = set()

    def tell(self, now: dict[str, Any], last: bool = False) -> list[Drift]:
        """Return the drift, and warn of what is new; `last` says that all is told that is known before training."""
        # A new run's config.yaml has another layout: what counts is the run's own, as it is on disk.
        config = {"config_sha256": sha256_file(self._run.path / CONFIG_FILE), "seed": self._run.config.get("seed")}
        drifts = drift(self._then, {**now, **config})
        for found in drifts:
            if found not in self._told:
                log.warning("drift since %s: %s", self._run.id, found)
        self._told.update(drifts)
        if last and not self._told:
            log.info("no drift: config, data, code, packages, hardware and threads are those of %s", self._run.id)
        return drifts


def _machine(cfg: DictConfig, made: Run) -> dict[str, Any]:
    """What is known of the machine before training, which sets the flags."""
    from aigc.launch.components import prepare_machine, resolve_precision
    from aigc.launch.hardware import describe_devices, describe_threads

    prepare_machine(cfg)
    alone = cfg.trainer.devices == 1  # ranks that are not there yet have threads of their own
    return {
        "hardware": made.manifest["hardware"] | describe_devices(),
        **({"threads": describe_threads()} if alone else {}),
        "precision": resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator),
    }


def _work(prepared: PreparedRun) -> str | None:
    """Train; return why the loss was no finite number, if it was none."""
    from aigc.launch.run_local import run_local

    try:
        run_local(prepared)
    except DivergedRun as error:
        return str(error)
    return None


def _check_settings_unchanged(run: Run) -> None:
    for number, attempt in enumerate(run.record.attempts, 1):
        changed = attempt.overrides and not attempt.was_refused
        if changed and identity(override(run.config, attempt.overrides, CHANGEABLE)) != identity(run.config):
            raise InputError(
                f"{run.id} went on with other settings at step {attempt.from_step} (attempt {number}: "
                f"{' '.join(attempt.overrides)}), so no one config gives its numbers. "
                "Reproduce a run that kept its settings."
            )


def _last_step_to_train(run: Run, steps: int | None) -> int | None:
    """Where to stop; None is the end of the training."""
    logged = logged_steps(run.path / _METRICS)
    if not logged:
        raise InputError(
            f"{run.id} has logged no value, so there is nothing to compare with; start it with `aigc train`"
        )
    first, last = logged[0], logged[-1]
    finished = run.status is Status.FINISHED and run.record.until_step is None
    if steps is not None and not first <= steps <= last:
        raise InputError(
            f"--steps {steps}: {run.id} logged values from step {first} to {last}; give a number from there"
        )
    if steps is None and not finished:
        log.info("%s is %s: it is trained again up to step %d, the last that it logged", run.id, run.status, last)
    return None if finished and steps in (None, last) else steps or last


def _config(run: Run) -> DictConfig:
    """The frozen config; the new run lies beside the old one where that can be written."""
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
        place = then.get("cwd")
        if not place or place == str(Path.cwd()):
            raise
        raise InputError(f"{error} The run was started in {place}; relative paths are meant from there.") from error
