"""Results of a sweep: values over seeds with their uncertainty, and the best trial as an experiment."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from omegaconf import OmegaConf

from aigc.config.choices import group_choices
from aigc.config.compose import compose
from aigc.config.freeze import frozen_yaml
from aigc.config.identity import NOT_COUNTED
from aigc.config.monitor import checkpoint_monitor
from aigc.config.overrides import parse_overrides
from aigc.config.problems import suggest
from aigc.errors import InputError
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.row_labels import read_config, row_labels
from aigc.launch.sweeps.student import two_sided
from aigc.runs.status import FAILURES, Status


@dataclass
class Row:
    """Trials that differ only in their seed.

    Args:
        overrides: The keys in which they differ from other rows.
        values: Values of the finished trials.
        trials: Their numbers, in the order of the values.
        runs: Their run ids.
        failed: Number of failed trials.
        pruned: Number of trials that Optuna stopped early.
        missing: Number of trials that are not finished.
    """

    overrides: tuple[str, ...]
    values: list[float] = field(default_factory=list)
    trials: list[int] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    failed: int = 0
    pruned: int = 0
    missing: int = 0

    @property
    def mean(self) -> float:
        """Mean of the values; NaN without any."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation of the values, with n - 1; NaN below two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def interval(self) -> float:
        """Half the width of the 95 % confidence interval of the mean, by Student's t; NaN below two values."""
        if len(self.values) < 2:
            return math.nan
        number = len(self.values)
        return two_sided(0.95, number - 1) * self.deviation / math.sqrt(number)


@dataclass(frozen=True)
class Table:
    """Results of a sweep.

    Args:
        metric: Name of the metric.
        smaller_is_better: Whether smaller values are better; None where it is not known.
        rows: Best first; in the planned order where it is not known which values are better.
    """

    metric: str
    smaller_is_better: bool | None
    rows: list[Row]


def make_table(folder: SweepFolder, metric: str | None = None, direction: str | None = None) -> Table:
    """Group the trials of a sweep by all keys except the seed.

    Args:
        folder: The sweep.
        metric: A name in the runs' final metrics; None takes that of the search, or the monitor of their checkpoints.
        direction: Whether smaller (min) or larger values (max) are better; None takes it from the same source.

    Raises:
        InputError: No trial is finished, or none has the metric.
    """
    rows: dict[tuple[str, ...], Row] = {}
    known: set[str] = set()
    any_finished = False
    about = folder.about()
    searched = {about["monitor"]: about.get("direction") or "minimize"} if about.get("monitor") else {}
    better = {name: how == "minimize" for name, how in searched.items()}
    metric = metric or about.get("monitor")
    labels = row_labels(folder)
    for trial in folder.trials():
        label = labels[trial.run]
        row = rows.setdefault(label.differs_in, Row(label.shown))
        status = folder.status(trial.run).status
        run = folder.run(trial.run)
        if status is not Status.FINISHED or run is None:
            failed, pruned = status in FAILURES, folder.is_pruned(trial.run)
            row.failed += failed
            row.pruned += pruned and not failed
            row.missing += not (failed or pruned)
            continue
        any_finished = True
        if chooses := checkpoint_monitor(read_config(folder, trial)):
            better.setdefault(chooses[0], chooses[1] == "min")
            metric = metric or chooses[0]
        metrics = run.record.metrics
        known |= metrics.keys()
        if metric is not None and not math.isfinite(metrics.get(metric, 0.0)):
            row.failed += 1
        elif metric is not None and metric in metrics:
            row.values.append(metrics[metric])
            row.trials.append(trial.number)
            row.runs.append(trial.run)
        else:
            row.missing += 1
    if not any_finished:
        raise InputError(f"{folder.id}: no trial is finished yet; `aigc sweep status {folder.id}`")
    if metric is None or metric not in known:
        raise InputError(f"--metric {metric}: no trial has recorded it; {suggest(str(metric), known)}")
    smaller = better.get(metric) if direction is None else direction == "min"
    if smaller is None:
        return Table(metric, None, list(rows.values()))
    return Table(metric, smaller, sorted(rows.values(), key=lambda row: _key(row, smaller)))


def best_experiment(folder: SweepFolder, metric: str | None = None, direction: str | None = None) -> str:
    """Return the YAML of an experiment that composes to the config of the best row's first trial.

    What `debug=` set is left out, as an experiment found with it is meant to be trained without.

    Raises:
        InputError: As `make_table`, and where it is not known which values are better.
    """
    table = make_table(folder, metric, direction)
    if table.smaller_is_better is None:
        raise InputError(f"--direction: is a smaller {table.metric} better (min), or a larger one (max)?")
    if not table.rows[0].values:
        raise InputError(f"{folder.id}: no trial has a value of {table.metric} yet")
    row = table.rows[0]
    trial = next(one for one in folder.trials() if one.run == row.runs[0])
    typed = [*trial.fixed, *trial.overrides]
    choices = {}
    for override in parse_overrides(typed):
        key = override.key_or_group
        chooses = not override.is_delete() and override.value() is not None
        if chooses and key in group_choices() and key != "sweep":
            choices[key] = override.value()
    base = choices.pop("experiment", None) or _experiment(folder)
    debug = choices.pop("debug", None)
    final = {key: value for key, value in read_config(folder, trial).items() if key not in NOT_COUNTED}
    if debug is not None:
        others = [text for text in typed if text.partition("=")[0] != "debug"]
        final = _merged(final, _difference(_composed(typed), _composed(others)))
    groups = [f"{key}={value}" for key, value in choices.items()]
    before = _composed([f"experiment={base}", *groups, f"seed={final['seed']}"])
    body = {"seed": final["seed"]} | _difference(before, final)
    uncertain = f", 95 % interval ± {row.interval:.3g}" if len(row.values) > 1 else ""
    lines = [
        "# @package _global_",
        "# aigc train experiment=NAME-OF-THIS-FILE, once it lies in conf/experiment",
        f"# The best of {folder.id}: {table.metric} {row.mean:.6g} (n {len(row.values)}{uncertain}); run {trial.run}.",
        *([] if debug is None else [f"# It was found with debug={debug}, whose settings are left out here."]),
        "defaults:",
        f"  - {base}",
        *(f"  - override /{key}: {value}" for key, value in choices.items()),
        "",
    ]
    return "\n".join(lines) + "\n" + yaml.safe_dump(body, allow_unicode=True, sort_keys=False)


def _key(row: Row, smaller: bool) -> tuple[bool, float]:
    mean = row.mean
    return (math.isnan(mean), mean if smaller else -mean)


def _experiment(folder: SweepFolder) -> str:
    return str(folder.about()["experiment"])


def _composed(overrides: Sequence[str]) -> dict[str, Any]:
    """Compose a config as plain values; a value that is missing is an empty text."""
    cfg = compose(overrides)
    for key in OmegaConf.missing_keys(cfg):
        OmegaConf.update(cfg, key, "", force_add=True)
    found: dict[str, Any] = yaml.safe_load(frozen_yaml(cfg))
    return found


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping with the values of another, whose mappings are merged."""
    made = dict(one)
    for key, value in other.items():
        before = made.get(key)
        made[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return made


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return what has to be merged into one mapping to get the other; a removed key becomes null."""
    found: dict[str, Any] = {}
    for key in [*after, *(key for key in before if key not in after)]:
        if key in NOT_COUNTED:
            continue
        one, other = before.get(key), after.get(key)
        if one == other and key in before:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            found[key] = _difference(one, other)
        else:
            found[key] = other
    return {key: value for key, value in found.items() if value != {} or before.get(key) != value}
