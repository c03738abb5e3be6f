"""Runs the trials of a sweep on this machine, each in a process of its own, until none is left."""

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
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess

from aigc.config.trust import named_packages
from aigc.launch.sweeps.devices import Devices, Lease
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.process import IN_WORK, REFUSED, TrialProcess, work_on
from aigc.launch.sweeps.trials import SweepPlan, Trial
from aigc.runs import stop
from aigc.runs.console import log
from aigc.runs.manifest import SubmittedJob
from aigc.runs.status import FAILURES, Status

_MOST_DEATHS = 3
"""A trial that has died so often without a step in between counts as failed."""
_PAUSE = 0.1
"""Seconds between two looks around; a trial that had a signal, too, takes what is passed on for the same request."""
LOOK_AGAIN = 2.0
"""Seconds until a trial that another driver works on is checked again."""


@dataclass
class Running:
    """A trial that runs."""

    trial: Trial
    process: BaseProcess
    lease: Lease
    since: float = field(default_factory=time.monotonic)


@dataclass
class Tally:
    """What has become of the trials."""

    finished: list[Trial] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    """Under this command; by number of the trial: why."""
    listed: dict[int, str] = field(default_factory=dict)
    """Failed under another command, earlier or at the same time, likewise."""
    skipped: int = 0
    """Finished before this driver began."""
    pruned: int = 0
    """Ended early, as their values were too poor."""
    left: int = 0
    """Not run, as this driver was stopped or too many have failed."""

    @property
    def all_failed(self) -> int:
        """How many have failed, under whichever command."""
        return len(self.failed) + len(self.listed)


class Driver:
    """One of any number of processes that work on a sweep.

    Args:
        plan: What is run.
        retry_failed: Run those again that have failed; otherwise they are listed.
        max_failures: Start no more once more than so many have failed under this driver.
        fail_fast: At the first failure, also have the running trials save and end.
        tell: Called when something has changed, with the driver.
        queued: The cluster's job that this driver is, as the manifests of its trials list it.
    """

    def __init__(
        self,
        plan: SweepPlan,
        retry_failed: bool = False,
        max_failures: int | None = None,
        fail_fast: bool = False,
        tell: Callable[["Driver"], None] = lambda driver: None,
        queued: SubmittedJob | None = None,
    ) -> None:
        self.plan = plan
        self.folder = SweepFolder(plan.folder)
        self.devices = Devices(plan.cfg)
        self.tally = Tally()
        self.running: list[Running] = []
        self._most = 0 if fail_fast else max_failures
        self._fail_fast = fail_fast
        self._tell = tell
        self._queued = queued
        self._waiting: deque[tuple[float, Trial]] = deque()
        self._exhausted = False
        self._deaths: dict[int, tuple[int, int]] = {}
        self._context = multiprocessing.get_context("forkserver")
        self._retried: dict[int, str] = {}
        for trial in plan.trials:
            self.devices.see(trial.cfg)
        self._sort(retry_failed)

    def run(self) -> Tally:
        """Run until no trial is left, or until asked to stop.

        Raises:
            InterruptedRun, PreemptedRun: This process was asked to stop; running trials have saved and ended.
        """
        self._tell(self)
        with stop.listening():
            try:
                self._run()
            finally:
                self._end_running()
        self.tally.left += len(self._waiting)
        stopped = stop.asked()
        if stopped is not None:
            raise stop.ended_by(stopped, f"; `aigc sweep {shlex.join(self.plan.typed)}` goes on")
        return self.tally

    def _sort(self, retry_failed: bool) -> None:
        """Look at each trial once."""
        for trial in self.plan.trials:
            record = self.folder.status(self.plan.run_id(trial))
            if record.status is Status.FINISHED:
                self.tally.skipped += 1
            elif record.status in FAILURES and not retry_failed:
                self.tally.listed[trial.number] = f"{record.status} under an earlier command: {record.message}"
            else:
                if record.status in FAILURES:
                    self._retried[trial.number] = record.since
                self._waiting.append((0.0, trial))

    def _run(self) -> None:
        while self._waiting or self.running or self._may_go_on():
            for one in [one for one in self.running if one.process.exitcode is not None]:
                self.running.remove(one)
                one.lease.give_back()
                one.process.join()
                self._see(one.trial, one.process.exitcode or 0)
                self._tell(self)
            if stop.asked() is not None:
                return
            if self._most is not None and len(self.tally.failed) > self._most:
                if self._fail_fast or not self.running:
                    return
            else:
                self._fill()
            self._watch()
            self._tell(self)
            multiprocessing.connection.wait([one.process.sentinel for one in self.running], timeout=_PAUSE)
            if not self.running:
                time.sleep(_PAUSE)

    def _may_go_on(self) -> bool:
        """Whether there are trials that nobody has named yet."""
        return False

    def _watch(self) -> None:
        """Look at the running trials."""

    def _skip(self, trial: Trial) -> None:
        self.tally.skipped += 1

    def _ended_elsewhere(self, trial: Trial) -> bool:
        """Whether another driver has brought a trial to its end meanwhile; it is counted then."""
        record = self.folder.status(self.plan.run_id(trial))
        if record.status is Status.FINISHED:
            self._skip(trial)
        elif record.status in FAILURES and self._retried.get(trial.number) != record.since:
            self.tally.listed[trial.number] = f"{record.status} under another command: {record.message}"
        else:
            return False
        return True

    def _fill(self) -> None:
        """Start trials while there is room."""
        now = time.monotonic()
        for _ in range(len(self._waiting)):
            if len(self.running) >= self.devices.workers or stop.asked() is not None:
                return
            due, trial = self._waiting.popleft()
            if due > now:
                self._waiting.append((due, trial))
                continue
            if self._ended_elsewhere(trial):
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

    def _see(self, trial: Trial, code: int) -> None:
        """What a trial's end means."""
        if code == IN_WORK:
            self._waiting.append((time.monotonic() + LOOK_AGAIN, trial))
            return
        if code == REFUSED:
            self.tally.failed[trial.number] = self._last_words(trial)
            return
        record = self.folder.status(self.plan.run_id(trial))
        if record.status is Status.FINISHED:
            self.tally.finished.append(trial)
        elif record.status in FAILURES:
            self.tally.failed[trial.number] = f"{record.status}: {record.message}"
        elif record.status is Status.INTERRUPTED and stop.asked() is None:
            self.tally.failed[trial.number] = "was cancelled; the same command again goes on with it"
        elif stop.asked() is not None or self._is_patient_with(trial, record.step or 0):
            self._waiting.appendleft((0.0, trial))
        else:
            said = record.message or f"exit code {code}"
            self.tally.failed[trial.number] = f"{record.status} {_MOST_DEATHS} times at step {record.step or 0}: {said}"

    def _is_patient_with(self, trial: Trial, step: int) -> bool:
        """Whether a trial that died is resumed."""
        before, deaths = self._deaths.get(trial.number, (-1, 0))
        deaths = deaths + 1 if step <= before else 1
        self._deaths[trial.number] = (max(step, before), deaths)
        return deaths < _MOST_DEATHS

    def _last_words(self, trial: Trial) -> str:
        path = self.folder.logs / f"{self.plan.run_id(trial)}.txt"
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
        return lines[-1] if lines else "it could not be started"

    def _end_running(self) -> None:
        """Have the running trials save and end."""
        for one in self.running:
            if one.process.exitcode is None:
                send(one.process, stop.asked() or signal.SIGTERM)
        if self.running:
            log.info("waiting for %d running trials to save and end", len(self.running))
        for one in self.running:
            one.process.join()
            one.lease.give_back()
            self._see(one.trial, one.process.exitcode or 0)
        self.running.clear()


def send(process: BaseProcess, number: int) -> None:
    """Send a signal to a trial, if it is still there."""
    if process.pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
