"""The trials of a sweep: composed and checked before anything is written, and identified by their configs."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from aigc.config.check import find_problems
from aigc.config.choices import group_choices
from aigc.config.compose import Composer
from aigc.config.identity import identity
from aigc.config.keys import known_keys
from aigc.config.origins import COMMAND_LINE
from aigc.config.part_names import value_problems
from aigc.config.problems import ConfigError, Problem
from aigc.config.types import Parameter
from aigc.errors import InputError
from aigc.files.secrets import redact
from aigc.launch.sweeps import search_space
from aigc.launch.sweeps.planning import PlanningProgress
from aigc.runs.console import log


@dataclass
class Trial:
    """One run of a sweep.

    Args:
        number: Its number, from 0.
        overrides: Its values of the swept keys.
        cfg: Its config.
        identity: See `aigc.config.identity`; trials with the same identity are the same.
        same: Numbers of later trials with the same identity, which are not run again.
    """

    number: int
    overrides: list[str]
    cfg: DictConfig
    identity: str
    same: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class SweepPlan:
    """The plan of a sweep.

    Args:
        experiment: Name of the experiment.
        typed: All overrides that were typed.
        fixed: Overrides that all trials share.
        keys: The swept keys.
        trials: The trials, without duplicates.
        cfg: The config without the swept keys, for the section `sweep` and the paths.
        axes: The space of a search, whose trials are chosen while it runs.
        continues: The id under which another version of aigc began it; None where none did.
    """

    experiment: str
    typed: list[str]
    fixed: list[str]
    keys: list[str]
    trials: list[Trial]
    cfg: DictConfig
    axes: Sequence[search_space.Axis] = ()
    continues: str | None = None

    @property
    def total(self) -> int:
        """Number of trials, including those that are not chosen yet."""
        return int(self.cfg.sweep.trials or 0) if self.axes else len(self.trials)

    @property
    def id(self) -> str:
        """The sweep's id: `sweep.name`, or one derived from the experiment and the trials."""
        if self.continues or self.cfg.sweep.name is not None:
            return self.continues or str(self.cfg.sweep.name)
        content = json.dumps([trial.identity for trial in self.trials])
        if self.axes:
            chooses = [self.cfg.sweep[name] for name in ("seed", "pruner", "monitor", "direction")]
            content = json.dumps([identity(self.cfg), [vars(axis) for axis in self.axes], chooses])
        return f"{self.experiment.replace('/', '-')}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    @property
    def folder(self) -> Path:
        """The sweep folder."""
        return sweeps_root(self.cfg) / self.id

    def run_id(self, trial: Trial) -> str:
        """Return the run id of a trial: the same for the same config, so that it is not started twice."""
        return f"{self.id}-{trial.identity[:12]}"


def plan(overrides: Sequence[str]) -> SweepPlan:
    """Compose and check every trial.

    Args:
        overrides: As for `compose`, with several values where a key is swept.

    Raises:
        ConfigError: What is wrong in any trial; each problem once.
        InputError: There is nothing to sweep.
    """
    for text in overrides:
        if redact(text) != text:
            raise InputError(f"{text.partition('=')[0]}: a secret cannot be an override: use ${{oc.env:NAME}}")
    fixed, axes = search_space.split(overrides)
    composer = Composer()
    cfg = composer.compose(fixed)
    _raise_problems(find_problems(cfg), only="sweep.")
    if cfg.run.id is not None:
        raise InputError("run.id: a sweep chooses the ids of its runs; sweep.name names the sweep")
    if cfg.sweep.kind == "optuna":
        return _search(list(overrides), fixed, axes, cfg, composer)
    trials: list[Trial] = []
    known: dict[str, Trial] = {}
    checker = _Checker()
    problems: dict[tuple[str, str], Problem] = {}
    progress = PlanningProgress(axes, cfg.sweep.kind)
    for number, own in enumerate(_combinations(cfg, axes, overrides)):
        progress.log(number)
        try:
            made = composer.compose([*fixed, *own])
            found = checker.problems(made, own)
        except ConfigError as error:
            problems |= {(problem.key, problem.what): problem for problem in error.problems}
            continue
        problems |= {(problem.key, problem.what): problem for problem in found}
        trial = Trial(number, own, made, identity(made))
        if trial.identity in known:
            known[trial.identity].same.append(number)
        else:
            known[trial.identity] = trial
            trials.append(trial)
    _raise_problems(list(problems.values()))
    same = sum(len(one.same) for one in trials)
    if same and cfg.sweep.kind == "random":
        log.warning("sweep.trials=%d: only %d of %d trials differ", cfg.sweep.trials, len(trials), len(trials) + same)
    keys = [axis.key for axis in axes] or sorted({text.partition("=")[0] for one in trials for text in one.overrides})
    return SweepPlan(trials[0].cfg.experiment, list(overrides), fixed, keys, trials, cfg)


class _Checker:
    """Checks each value of each key once, as values are checked independently of each other.

    The first trial of each set of group choices is checked completely.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], dict[str, Parameter]] = {}
        self._seen: set[tuple[tuple[str, ...], str]] = set()

    def problems(self, cfg: DictConfig, own: Sequence[str]) -> list[Problem]:
        """Return the problems of a trial that no earlier trial had."""
        groups = tuple(text for text in own if text.partition("=")[0] in group_choices())
        if groups not in self._known:
            self._known[groups] = known_keys(cfg)
            self._seen.update((groups, text) for text in own)
            return find_problems(cfg)
        new = [text for text in own if (groups, text) not in self._seen]
        self._seen.update((groups, text) for text in own)
        found: list[Problem] = []
        for text in new:
            key = text.partition("=")[0]
            if key not in self._known[groups]:
                return find_problems(cfg)
            wrong = value_problems(key, _value(cfg, key), self._known[groups][key])
            found += [Problem(name, what, f"{COMMAND_LINE}: {text}") for name, what in wrong]
        return found


def _value(cfg: DictConfig, key: str) -> Any:
    value = OmegaConf.select(cfg, key)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _search(
    typed: list[str], fixed: list[str], axes: Sequence[search_space.Axis], cfg: DictConfig, composer: Composer
) -> SweepPlan:
    """Plan a search; each value is checked once, together with the first values of the other keys."""
    if not axes:
        raise InputError("there is nothing to search: give a key several values, or interval(LOW,HIGH)")
    if cfg.sweep.trials is None:
        raise InputError("sweep.trials: give the number of trials that Optuna chooses")
    problems: dict[tuple[str, str], Problem] = {}
    first = {axis.key: axis.examples()[0] for axis in axes}
    for axis in axes:
        for value in axis.examples():
            own = [f"{key}={one}" for key, one in (first | {axis.key: value}).items()]
            try:
                found = find_problems(composer.compose([*fixed, *own]))
            except ConfigError as error:
                found = error.problems
            problems |= {(problem.key, problem.what): problem for problem in found}
    _raise_problems(list(problems.values()))
    return SweepPlan(cfg.experiment, typed, fixed, [axis.key for axis in axes], [], cfg, axes)


def sweeps_root(cfg: DictConfig) -> Path:
    """Return the folder of all sweep folders."""
    return Path(cfg.paths.outputs).expanduser() / "sweeps"


def _combinations(cfg: DictConfig, axes: Sequence[search_space.Axis], typed: Sequence[str]) -> Iterator[list[str]]:
    kind = cfg.sweep.kind
    if kind == "list":
        if axes:
            raise InputError(
                f"{axes[0].key}: a list names its trials; give one value, or put the key into the lines of the file"
            )
        if cfg.sweep.path is None:
            raise InputError("sweep.path: name the file whose lines are the trials")
        return search_space.read_list(Path(cfg.sweep.path).expanduser())
    if not axes:
        comma = next((text for text in typed if "，" in text or "、" in text), None)
        found = f"; {comma} has a Chinese comma, which separates nothing: write ','" if comma else ""
        raise InputError(f"there is nothing to sweep: give a key several values, such as seed=0,1,2{found}")
    if kind == "random":
        if cfg.sweep.trials is None:
            raise InputError("sweep.trials: give the number of random trials")
        return search_space.drawn(axes, cfg.sweep.trials, cfg.sweep.seed)
    return search_space.grid(axes)


def _raise_problems(problems: list[Problem], only: str = "") -> None:
    found = [problem for problem in problems if problem.key.startswith(only)]
    if found:
        raise ConfigError(found)
