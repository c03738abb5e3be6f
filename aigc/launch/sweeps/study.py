"""The Optuna study of a sweep, stored in its folder: the values of each trial, and its results."""

import contextlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.config.schema import Sweep
from aigc.errors import InputError
from aigc.launch.sweeps.search_space import Axis
from aigc.runs.locks import locked
from aigc.runs.metrics_file import cut_torn_line

if TYPE_CHECKING:
    from optuna.storages.journal._file import BaseJournalFileLock


class Study:
    """A study that any number of drivers share through one file.

    Args:
        path: The sweep folder; created if missing.
        axes: The search space.
        settings: The section `sweep`: sampler seed, pruner, number of trials.
        direction: minimize or maximize.

    Raises:
        InputError: Optuna is not installed, or the study in this folder has another space.
    """

    def __init__(self, path: Path, axes: Sequence[Axis], settings: Sweep, direction: str) -> None:
        self._optuna = _import()
        self._axes = {axis.key: axis for axis in axes}
        self._settings = settings
        self._lock = path / "asking.lock"
        path.mkdir(parents=True, exist_ok=True)
        journal = self._optuna.storages.journal
        backend = journal.JournalFileBackend(str(path / "study.jsonl"), _lock_of(path / "study.lock"))
        with locked(self._lock):
            self._study = self._optuna.create_study(
                storage=journal.JournalStorage(backend),
                study_name=path.name,
                direction=direction,
                pruner=_pruner(self._optuna, settings.pruner),
                load_if_exists=True,
            )
            space = json.dumps([vars(axis) for axis in axes], sort_keys=True)
            if self._study.user_attrs.setdefault("space", space) != space:
                raise InputError(f"{path.name} searches another space: give this search another sweep.name")
            self._study.set_user_attr("space", space)

    def ask(self) -> tuple[int, list[str]] | None:
        """Return number and overrides of a new trial; None once there are as many as `sweep.trials`."""
        with locked(self._lock):
            number = len(self._study.get_trials(deepcopy=False))
            if number >= (self._settings.trials or 0):
                return None
            self._study.sampler = self._sampler(number)
            distributions = {key: _distribution(self._optuna, axis) for key, axis in self._axes.items()}
            trial = self._study.ask(distributions)
        return trial.number, self._overrides(trial.params)

    def _sampler(self, number: int) -> Any:
        """Return a sampler seeded by the trial's number, so that a later driver does not repeat draws."""
        return self._optuna.samplers.TPESampler(seed=(self._settings.seed + 7919 * number) % 2**32)

    def states(self) -> dict[int, str]:
        """Return the state of every trial by number: RUNNING, COMPLETE, PRUNED or FAIL."""
        return {one.number: one.state.name for one in self._study.get_trials(deepcopy=False)}

    def overrides(self, number: int) -> list[str]:
        """Return the overrides of a trial, and complete those of a driver that was killed while it chose them."""
        with locked(self._lock):
            frozen = self._study.get_trials(deepcopy=False)[number]
            if frozen.params.keys() == self._axes.keys():
                return self._overrides(frozen.params)
            self._study.sampler = self._sampler(number)
            trial = self._optuna.trial.Trial(self._study, frozen._trial_id)
            return self._overrides({key: _suggested(trial, axis) for key, axis in self._axes.items()})

    def report(self, number: int, step: int, value: float) -> bool:
        """Report an intermediate value, and return whether the trial should be pruned."""
        frozen = self._study.get_trials(deepcopy=False)[number]
        if frozen.state.is_finished() or math.isnan(value):
            return False
        trial = self._optuna.trial.Trial(self._study, frozen._trial_id)
        if step not in frozen.intermediate_values:
            trial.report(value, step)
        return bool(trial.should_prune())

    def tell(self, number: int, value: float | None, pruned: bool = False) -> None:
        """Record the result of a trial; a missing or non-finite value is a failure. A second call changes nothing."""
        state = self._optuna.trial.TrialState
        if pruned:
            self._study.tell(number, state=state.PRUNED, skip_if_finished=True)
        elif value is None or not math.isfinite(value):
            self._study.tell(number, state=state.FAIL, skip_if_finished=True)
        else:
            self._study.tell(number, value, skip_if_finished=True)

    def _overrides(self, params: dict[str, Any]) -> list[str]:
        # In the order they were typed; Hydra parses Python's repr of a float back to the same bits.
        return [f"{key}={params[key]}" for key in self._axes]


def _import() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise InputError("sweep=optuna needs Optuna: pip install 'aigc[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distribution(optuna: Any, axis: Axis) -> Any:
    if axis.interval is None:
        return optuna.distributions.CategoricalDistribution(axis.values)
    low, high, logarithmic, whole = axis.interval
    if whole:
        return optuna.distributions.IntDistribution(int(low), int(high), log=logarithmic)
    return optuna.distributions.FloatDistribution(low, high, log=logarithmic)


def _suggested(trial: Any, axis: Axis) -> Any:
    """Return the value of one key; it is chosen now unless it was chosen before."""
    if axis.interval is None:
        return trial.suggest_categorical(axis.key, axis.values)
    low, high, logarithmic, whole = axis.interval
    if whole:
        return trial.suggest_int(axis.key, int(low), int(high), log=logarithmic)
    return trial.suggest_float(axis.key, low, high, log=logarithmic)


def _pruner(optuna: Any, name: str | None) -> Any:
    made = {
        None: optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "halving": optuna.pruners.SuccessiveHalvingPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
    }
    return made[name]()


def _lock_of(path: Path) -> "BaseJournalFileLock":
    """Return a lock that the system releases when its holder is killed, unlike Optuna's own locks."""
    from optuna.storages.journal._file import BaseJournalFileLock

    class FileLock(BaseJournalFileLock):
        def __init__(self) -> None:
            self._held = contextlib.ExitStack()

        def acquire(self) -> bool:
            self._held.enter_context(locked(path))
            cut_torn_line(path.with_suffix(".jsonl"))
            return True

        def release(self) -> None:
            self._held.close()

    return FileLock()
