"""Run the trials of a sweep on this machine, each in its own process, until none is left."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import shlex
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.process import BaseProcess

from aigc.config.trust import named_packages
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.process import IN_USE, REFUSED, TrialProcess, work_on
from aigc.launch.sweeps.tally import Running, Tally
from aigc.launch.sweeps.trial_devices import Lease, TrialDevices
from aigc.launch.sweeps.trials import SweepPlan, Trial
from aigc.runs import stop
from aigc.runs.console import log
from aigc.runs.manifest import SubmittedJob
from aigc.runs.status import FAILURES, Status

_MAX_DEATHS = 3
"""A trial that has died so many times without a step in between counts as failed."""
_PAUSE = 0.1
"""Seconds between two polls."""
RECHECK_SECONDS = 2.0
"""Seconds until a trial that another driver runs is checked again."""


class Driver:
    """Runs trials of a sweep; several drivers may share one sweep.

    Args:
        plan: The sweep.
        retry_failed: Run failed trials again; otherwise they are only listed.
        max_failures: Start no more trials once more than so many have failed under this driver.
        fail_fast: Stop at the first failure; running trials save and exit.
        on_change: Called with the driver when something has changed.
        queued: The cluster's job of this driver, for the manifests of its trials.
    """

    def __init__(
        self,
        plan: SweepPlan,
        retry_failed: bool = False,
        max_failures: int | None = None,
        fail_fast: bool = False,
        on_change: Callable[["Driver"], None] = lambda driver: None,
        queued: SubmittedJob | None = None,
    ) -> None:
        self.plan = plan
        self.folder = SweepFolder(plan.folder)
        self.devices = TrialDevices(plan.cfg)
        self.tally = Tally()
        self.running: list[Running] = []
        self._max_failures = 0 if fail_fast else max_failures
        self._fail_fast = fail_fast
        self._on_change = on_change
        self._queued = queued
        self._waiting: deque[tuple[float, Trial]] = deque()
        self._exhausted = False
        self._deaths: dict[int, tuple[int, int]] = {}
        self._context = multiprocessing.get_context("forkserver")
        self._retried: dict[int, str] = {}
        for trial in plan.trials:
            self.devices.check(trial.cfg)
        self._sort(retry_failed)

    def run(self) -> Tally:
        """Run until no trial is left, or until asked to stop.

        Raises:
            InterruptedRun, PreemptedRun: This process was asked to stop; running trials have saved and exited.
        """
        self._on_change(self)
        with stop.listening():
            try:
                self._run()
            finally:
                self._end_running()
        self.tally.left += len(self._waiting)
        stopped = stop.asked()
        if stopped is not None:
            raise stop.ended_by(stopped, f"; `aigc sweep {shlex.join(self.plan.typed)}` resumes it")
        return self.tally

    def _sort(self, retry_failed: bool) -> None:
        """Sort the trials by their status."""
        for trial in self.plan.trials:
            record = self.folder.status(self.plan.run_id(trial))
            if record.status is Status.FINISHED:
                self.tally.skipped += 1
            elif record.status in FAILURES and not retry_failed:
                self.tally.failed_elsewhere[trial.number] = (
                    f"{record.status} under an earlier command: {record.message}"
                )
            else:
                if record.status in FAILURES:
                    self._retried[trial.number] = record.since
                self._waiting.append((0.0, trial))

    def _run(self) -> None:
        while self._waiting or self.running or self._has_more():
            for one in [one for one in self.running if one.process.exitcode is not None]:
                self.running.remove(one)
                one.lease.release()
                one.process.join()
                self._record_exit(one.trial, one.process.exitcode or 0)
                self._on_change(self)
            if stop.asked() is not None:
                return
            if self._max_failures is not None and len(self.tally.failed) > self._max_failures:
                if self._fail_fast or not self.running:
                    return
            else:
                self._fill()
            self._watch()
            self._on_change(self)
            multiprocessing.connection.wait([one.process.sentinel for one in self.running], timeout=_PAUSE)
            if not self.running:
                time.sleep(_PAUSE)

    def _has_more(self) -> bool:
        """Whether more trials will be chosen."""
        return False

    def _watch(self) -> None:
        """Check the running trials."""

    def _skip(self, trial: Trial) -> None:
        self.tally.skipped += 1

    def _has_ended_elsewhere(self, trial: Trial) -> bool:
        """Count a trial that has ended under another driver; return whether it has."""
        record = self.folder.status(self.plan.run_id(trial))
        if record.status is Status.FINISHED:
            self._skip(trial)
        elif record.status in FAILURES and self._retried.get(trial.number) != record.since:
            self.tally.failed_elsewhere[trial.number] = f"{record.status} under another command: {record.message}"
        else:
            return False
        return True

    def _fill(self) -> None:
        """Start trials while devices are free."""
        now = time.monotonic()
        for _ in range(len(self._waiting)):
            if len(self.running) >= self.devices.workers or stop.asked() is not None:
                return
            due, trial = self._waiting.popleft()
            if due > now:
                self._waiting.append((due, trial))
                continue
            if self._has_ended_elsewhere(trial):
                continue
            lease = self.devices.lease(trial.cfg)
            if lease is None:
                self._waiting.appendleft((due, trial))
                return
            self.running.append(Running(trial, self._start(trial, lease), lease))

    def _start(self, trial: Trial, lease: Lease) -> BaseProcess:
        cfg = trial.cfg
        cfg.run.id = self.plan.run_id(trial)
        job = TrialProcess(
            cfg=cfg,
            overrides=[*self.plan.fixed, *trial.overrides],
            command=["aigc", *sys.argv[1:]],
            notes={"sweep": {"id": self.folder.id, "trial": trial.number, "overrides": trial.overrides}},
            log=self.folder.logs / f"{cfg.run.id}.txt",
            threads=self.devices.threads,
            trusted=named_packages(),
            environment=lease.environment,
            queued=self._queued,
        )
        process = self._context.Process(target=work_on, args=(job,), name=cfg.run.id)
        process.start()
        return process

    def _record_exit(self, trial: Trial, code: int) -> None:
        """Record how a trial's process ended, and queue the trial again where that is due."""
        if code == IN_USE:
            self._waiting.append((time.monotonic() + RECHECK_SECONDS, trial))
            return
        if code == REFUSED:
            self.tally.failed[trial.number] = self._last_log_line(trial)
            return
        record = self.folder.status(self.plan.run_id(trial))
        if record.status is Status.FINISHED:
            self.tally.finished.append(trial)
        elif record.status in FAILURES:
            self.tally.failed[trial.number] = f"{record.status}: {record.message}"
        elif record.status is Status.INTERRUPTED and stop.asked() is None:
            self.tally.failed[trial.number] = "was cancelled; the same command resumes it"
        elif stop.asked() is not None or self._may_retry(trial, record.step or 0):
            self._waiting.appendleft((0.0, trial))
        else:
            why = record.message or f"exit code {code}"
            self.tally.failed[trial.number] = f"{record.status} {_MAX_DEATHS} times at step {record.step or 0}: {why}"

    def _may_retry(self, trial: Trial, step: int) -> bool:
        """Whether to resume a trial that died."""
        before, deaths = self._deaths.get(trial.number, (-1, 0))
        deaths = deaths + 1 if step <= before else 1
        self._deaths[trial.number] = (max(step, before), deaths)
        return deaths < _MAX_DEATHS

    def _last_log_line(self, trial: Trial) -> str:
        path = self.folder.logs / f"{self.plan.run_id(trial)}.txt"
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
        return lines[-1] if lines else "it could not be started"

    def _end_running(self) -> None:
        """Stop the running trials, which save first."""
        for one in self.running:
            if one.process.exitcode is None:
                send(one.process, stop.asked() or signal.SIGTERM)
        if self.running:
            log.info("waiting for %d running trials to save and exit", len(self.running))
        for one in self.running:
            one.process.join()
            one.lease.release()
            self._record_exit(one.trial, one.process.exitcode or 0)
        self.running.clear()


def send(process: BaseProcess, number: int) -> None:
    """Send a signal to a trial's process, if it still exists."""
    if process.pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
