"""A driver of trials that Optuna chooses one after another and prunes when their values are poor."""

import math
import signal
import time
from collections.abc import Callable
from dataclasses import asdict

from aigc.config.check import find_problems
from aigc.config.compose import Composer
from aigc.config.identity import identity
from aigc.config.monitor import better, checkpoint_monitor
from aigc.config.problems import ConfigError
from aigc.config.schema import Sweep
from aigc.errors import InputError
from aigc.launch.sweeps.continued import keep_names
from aigc.launch.sweeps.driver import RECHECK_SECONDS, Driver, send
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.process import IN_USE
from aigc.launch.sweeps.study import Study
from aigc.launch.sweeps.trials import SweepPlan, Trial
from aigc.runs.metrics_file import MetricsTail
from aigc.runs.status import Status


class SearchDriver(Driver):
    """A `Driver` for `sweep=optuna`; unfinished trials of a dead driver are resumed with the same values.

    Args:
        plan: The search; its trials are those chosen so far.
        max_failures: Start no more trials once more than so many have failed under this driver.
        fail_fast: Stop at the first failure; running trials save and exit.
        on_change: Called with the driver when something has changed.

    Raises:
        InputError: Optuna is not installed, no metric is monitored, or the folder's study has another space.
    """

    def __init__(
        self,
        plan: SweepPlan,
        max_failures: int | None = None,
        fail_fast: bool = False,
        on_change: Callable[[Driver], None] = lambda driver: None,
    ) -> None:
        cfg = plan.cfg
        default, mode = checkpoint_monitor(cfg) or (None, "min")
        monitor = cfg.sweep.monitor or default
        if monitor is None:
            raise InputError("sweep.monitor: name the metric to optimise; neither checkpoints nor task name one")
        if monitor != default:
            mode = better(cfg, monitor) or "min"
        self.monitor = str(monitor)
        direction = cfg.sweep.direction or ("maximize" if mode == "max" else "minimize")
        settings = Sweep(**{name: cfg.sweep[name] for name in asdict(Sweep()) if name in cfg.sweep})
        self.study = Study(plan.folder, plan.axes, settings, direction)
        self._composer = Composer()
        self._tails: dict[int, MetricsTail] = {}
        self._known: set[int] = set()
        SweepFolder(plan.folder).write(plan)
        super().__init__(plan, False, max_failures, fail_fast, on_change)

    def _sort(self, retry_failed: bool) -> None:
        self._add_known_trials("under an earlier command", due=0.0)

    def _add_known_trials(self, where: str, due: float) -> None:
        """Count the ended trials of other drivers, and queue those that have not ended."""
        runs = {trial.number: trial.run for trial in self.folder.trials()}
        for number, state in self.study.states().items():
            if number in self._known:
                continue
            if state == "COMPLETE":
                self.tally.skipped += 1
            elif state == "PRUNED":
                self.tally.pruned += 1
            elif state == "FAIL":
                message = self.folder.status(runs[number]).message if number in runs else None
                self.tally.failed_elsewhere[number] = f"failed {where}" + (f": {message}" if message else "")
            elif (trial := self._make_trial(number, self.study.overrides(number))) is not None:
                self._waiting.append((due, trial))
            self._known.add(number)

    def _fill(self) -> None:
        ready = sum(not due for due, _ in self._waiting)
        for _ in range(0 if self._exhausted else self.devices.workers - len(self.running) - ready):
            asked = self.study.ask()
            if asked is None:
                self._exhausted = True
                self._add_known_trials("under another command", due=time.monotonic() + RECHECK_SECONDS)
                break
            self._known.add(asked[0])
            if (trial := self._make_trial(*asked)) is not None:
                self._waiting.append((0.0, trial))
        super()._fill()

    def _has_more(self) -> bool:
        return not self._exhausted

    def _make_trial(self, number: int, overrides: list[str]) -> Trial | None:
        """Make the trial with these values; None when its config is wrong, or equals that of a pruned trial."""
        try:
            cfg = self._composer.compose([*self.plan.fixed, *overrides])
            if problems := find_problems(cfg):
                raise ConfigError(problems)
        except ConfigError as error:
            self.study.tell(number, None)
            self.tally.failed[number] = " ".join(str(error).split())
            return None
        trial = Trial(number, overrides, cfg, identity(cfg))
        keep_names(self.folder, [trial], self.plan)
        self.folder.add(trial, self.plan.run_id(trial), self.plan.fixed)
        if self.folder.is_pruned(self.plan.run_id(trial)):
            self._note_pruned(trial)
            return None
        return trial

    def _note_pruned(self, trial: Trial) -> None:
        self.study.tell(trial.number, None, pruned=True)
        self.tally.pruned += 1

    def _watch(self) -> None:
        for one in self.running:
            run_id = self.plan.run_id(one.trial)
            if not self.folder.is_pruned(run_id) and self._should_prune(one.trial, run_id):
                self.folder.prune(run_id)  # before the signal, as this driver may be killed in between
                send(one.process, signal.SIGTERM)

    def _should_prune(self, trial: Trial, run_id: str) -> bool:
        path = self.folder.runs() / run_id / "metrics.jsonl"
        rows = self._tails.setdefault(trial.number, MetricsTail(path)).read()
        values = [(row["step"], row[self.monitor]) for row in rows if self.monitor in row]
        last = trial.cfg.trainer.max_steps or math.inf
        return any(self.study.report(trial.number, step, value) and step < last for step, value in values)

    def _record_exit(self, trial: Trial, code: int) -> None:
        run_id = self.plan.run_id(trial)
        if code != IN_USE and self.folder.is_pruned(run_id):
            self._note_pruned(trial)
            return
        super()._record_exit(trial, code)
        if code == IN_USE:
            return
        if trial.number in self.tally.failed:
            self.study.tell(trial.number, None)
        elif self.folder.status(run_id).status is Status.FINISHED and not self._report_value(trial):
            self.tally.finished.remove(trial)
            self.tally.failed[trial.number] = f"{self.monitor} was not recorded, or is not finite"

    def _has_ended_elsewhere(self, trial: Trial) -> bool:
        if self.folder.is_pruned(self.plan.run_id(trial)):
            self._note_pruned(trial)
            return True
        if self.study.states()[trial.number] == "FAIL":
            self.tally.failed_elsewhere[trial.number] = "failed under another command"
            return True
        ended = super()._has_ended_elsewhere(trial)
        if ended and trial.number in self.tally.failed_elsewhere:
            self.study.tell(trial.number, None)
        return ended

    def _skip(self, trial: Trial) -> None:
        if self._report_value(trial):
            super()._skip(trial)
        else:
            self.tally.failed_elsewhere[trial.number] = (
                f"{self.monitor} was not recorded under another command, or is not finite"
            )

    def _report_value(self, trial: Trial) -> bool:
        """Report the value of a finished trial to the study; return whether it is finite."""
        run = self.folder.run(self.plan.run_id(trial))
        value = run.record.metrics.get(self.monitor, math.nan) if run is not None else math.nan
        self.study.tell(trial.number, value)
        return math.isfinite(value)
