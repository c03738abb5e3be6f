"""Sweeps that another version of aigc started: the same command continues them under their existing names."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from aigc.config.compose import Composer
from aigc.config.identity import NOT_COUNTED, identity
from aigc.config.problems import ConfigError
from aigc.errors import InputError
from aigc.launch.earlier import means_the_same, source_of
from aigc.launch.sweeps.folder import ListedTrial, SweepFolder
from aigc.launch.sweeps.trials import SweepPlan, Trial, plan, sweeps_root
from aigc.runs.environment import source_digest


def continued_plan(overrides: Sequence[str]) -> SweepPlan:
    """Plan a sweep as `plan` does; where another version started it, sweep and trials keep their names.

    A sweep and its runs are named by the identity of their configs. A version with more keys or renamed classes
    computes other names from the same command.

    Raises:
        ConfigError, InputError: As `plan`.
    """
    made = plan(overrides)
    for folder in _candidates(made):
        if _is_of_other_code(folder, made):
            made = replace(made, continues=folder.id)
            keep_names(folder, made.trials, made)
            break
    return made


def keep_names(folder: SweepFolder, trials: Sequence[Trial], plan: SweepPlan) -> None:
    """Give trials the identity under which another version listed them.

    Args:
        folder: The sweep's folder.
        trials: The trials, which are changed in place.
        plan: The sweep; trials of a sweep that this version started keep their own identity.
    """
    if plan.continues is None:
        return
    listed = list(folder.trials())
    own = {one.identity for one in listed}
    by_overrides = {tuple(one.overrides): one for one in listed}
    for trial in trials:
        found = by_overrides.get(tuple(trial.overrides))
        if trial.identity not in own and found is not None and _is_trial(folder, found, trial, plan):
            trial.identity = found.identity


def _is_trial(folder: SweepFolder, listed: ListedTrial, trial: Trial, plan: SweepPlan) -> bool:
    run = folder.run(listed.run)
    if run is not None:
        return means_the_same(run, trial.cfg)
    return _counted(listed.fixed, bool(plan.axes)) == _counted(plan.fixed, bool(plan.axes))


def _candidates(plan: SweepPlan) -> Iterator[SweepFolder]:
    """Yield the folder of this sweep where it exists; else those of sweeps with the same overrides."""
    if plan.cfg.sweep.name is not None or (plan.folder / "sweep.json").exists():
        yield SweepFolder(plan.folder)
        return
    for path in sorted(sweeps_root(plan.cfg).glob(f"{plan.experiment.replace('/', '-')}-*/sweep.json")):
        folder = SweepFolder(path.parent)
        try:
            about = folder.about()
        except InputError:
            continue
        typed, is_search = about.get("typed") or [], bool(plan.axes)
        if about.get("experiment") == plan.experiment and _counted(typed, is_search) == _counted(plan.typed, is_search):
            yield folder


def _is_of_other_code(folder: SweepFolder, plan: SweepPlan) -> bool:
    """Whether the first trial that other code started still means the same, under another identity."""
    if not (folder.path / "trials.jsonl").exists():
        return False
    current = source_digest()
    for one in folder.trials():
        run = folder.run(one.run)
        if run is not None and source_of(run) not in (current, None):
            try:
                cfg = Composer().compose([*plan.fixed, *one.overrides])
            except ConfigError:
                return False
            return identity(cfg) != one.identity and means_the_same(run, cfg)
    return False


def _counted(typed: Sequence[str], is_search: bool = False) -> list[str]:
    """Return the overrides that define a sweep, without those that only affect how it runs."""
    ignored = {*NOT_COUNTED, "sweep.workers", "sweep.per_task", "sweep.at_once", "sweep.max_failures"} - {"sweep"}
    ignored |= {"sweep.trials"} if is_search else set()
    keys = {text: text.lstrip("+~").partition("=")[0] for text in typed}
    return sorted(text for text, key in keys.items() if not {key, key.split(".")[0]} & ignored)
