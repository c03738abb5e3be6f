"""A driver of trials that Optuna chooses one after another, and ends early where their values are too poor."""

import math
import signal
import time
from collections.abc import Callable
from dataclasses import asdict

from aigc.config.check import find_problems
from aigc.config.compose import Composer
from aigc.config.identity import identity
from aigc.config.monitor import checkpoint_monitor
from aigc.config.problems import ConfigError
from aigc.config.schema import Sweep
from aigc.errors import InputError
from aigc.launch.sweeps.continued import keep_names
from aigc.launch.sweeps.driver import LOOK_AGAIN, Driver, send
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.process import IN_WORK
from aigc.launch.sweeps.study import Study
from aigc.launch.sweeps.trials import SweepPlan, Trial
from aigc.runs.metrics_file import MetricsTail
from aigc.runs.status import Status


class SearchDriver(Driver):
    """As `Driver`, for `sweep=optuna`; trials that a dead driver has left are resumed with the same values.

    Args:
        plan: What is searched; its trials are those that were asked for.
        max_failures: Start no more once more than so many have failed under this driver.
        fail_fast: At the first failure, also have the running trials save and end.
        tell: Called when something has changed, with the driver.

    Raises:
        InputError: Optuna is not installed, there is nothing to decide by, or the folder's study has another space.
    """

    def __init__(
        self,
        plan: SweepPlan,
        max_failures: int | None = None,
        fail_fast: bool = False,
        tell: Callable[[Driver], None] = lambda driver: None,
    ) -> None:
        cfg = plan.cfg
        own, mode = checkpoint_monitor(cfg) or (None, "min")
        monitor = cfg.sweep.monitor or own
        if monitor is None:
            raise InputError("sweep.monitor: name the metric by which Optuna chooses; neither checkpoints nor task do")
        self.monitor = str(monitor)
        direction = cfg.sweep.direction or ("maximize" if mode == "max" else "minimize")
        settings = Sweep(**{name: cfg.sweep[name] for name in asdict(Sweep()) if name in cfg.sweep})
        self.study = Study(plan.folder, plan.axes, settings, direction)
        self._composer = Composer()
        self._tails: dict[int, MetricsTail] = {}
        self._known: set[int] = set()
        SweepFolder(plan.folder).write(plan)
        super().__init__(plan, False, max_failures, fail_fast, tell)

    def _sort(self, retry_failed: bool) -> None:
        self._take_in("under an earlier command", due=0.0)

    def _take_in(self, whose: str, due: float) -> None:
        """Count the trials of other drivers that have ended, and wait for those that have not."""
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
                self.tally.listed[number] = f"failed {whose}" + (f": {message}" if message else "")
            elif (trial := self._made(number, self.study.overrides(number))) is not None:
                self._waiting.append((due, trial))
            self._known.add(number)

    def _fill(self) -> None:
        ready = sum(not due for due, _ in self._waiting)
        for _ in range(0 if self._exhausted else self.devices.workers - len(self.running) - ready):
            asked = self.study.ask()
            if asked is None:
                self._exhausted = True
                self._take_in("under another command", due=time.monotonic() + LOOK_AGAIN)
                break
            self._known.add(asked[0])
            if (trial := self._made(*asked)) is not None:
                self._waiting.append((0.0, trial))
        super()._fill()

    def _may_go_on(self) -> bool:
        return not self._exhausted

    def _made(self, number: int, overrides: list[str]) -> Trial | None:
        """The trial with these values; None when it has ended already, as it is wrong or like one that was pruned."""
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
            if not self.folder.is_pruned(run_id) and self._is_hopeless(one.trial, run_id):
                self.folder.prune(run_id)  # before the signal, as this driver may be killed in between
                send(one.process, signal.SIGTERM)

    def _is_hopeless(self, trial: Trial, run_id: str) -> bool:
        path = self.folder.runs() / run_id / "metrics.jsonl"
        rows = self._tails.setdefault(trial.number, MetricsTail(path)).read()
        values = [(row["step"], row[self.monitor]) for row in rows if self.monitor in row]
        last = trial.cfg.trainer.max_steps
        return any(self.study.report(trial.number, step, value) and step < last for step, value in values)

    def _see(self, trial: Trial, code: int) -> None:
        run_id = self.plan.run_id(trial)
        if code != IN_WORK and self.folder.is_pruned(run_id):
            self._note_pruned(trial)
            return
        super()._see(trial, code)
        if code == IN_WORK:
            return
        if trial.number in self.tally.failed:
            self.study.tell(trial.number, None)
        elif self.folder.status(run_id).status is Status.FINISHED and not self._report_value(trial):
            self.tally.finished.remove(trial)
            self.tally.failed[trial.number] = f"{self.monitor} was not measured, or is no number"

    def _ended_elsewhere(self, trial: Trial) -> bool:
        if self.folder.is_pruned(self.plan.run_id(trial)):
            self._note_pruned(trial)
            return True
        if self.study.states()[trial.number] == "FAIL":
            self.tally.listed[trial.number] = "failed under another command"
            return True
        ended = super()._ended_elsewhere(trial)
        if ended and trial.number in self.tally.listed:
            self.study.tell(trial.number, None)
        return ended

    def _skip(self, trial: Trial) -> None:
        if self._report_value(trial):
            super()._skip(trial)
        else:
            self.tally.listed[trial.number] = f"{self.monitor} was not measured under another command, or is no number"

    def _report_value(self, trial: Trial) -> bool:
        """Tell the study what a finished trial gave; whether it gave anything."""
        run = self.folder.run(self.plan.run_id(trial))
        value = run.record.metrics.get(self.monitor, math.nan) if run is not None else math.nan
        self.study.tell(trial.number, value)
        return math.isfinite(value)
