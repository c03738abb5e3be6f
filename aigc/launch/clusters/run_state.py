"""The state of a run: its own status combined with the state of its job in the queue; no torch at import."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aigc.config import ConfigError
from aigc.errors import AigcError, InputError
from aigc.launch.clusters import ClusterJob, JobState
from aigc.launch.clusters.kinds import cluster_class
from aigc.runs import Run
from aigc.runs.console import log
from aigc.runs.manifest import SubmittedJob
from aigc.runs.status import FAILURES, Status, StatusRecord, read_status
from aigc.runs.table import DAMAGED, describe, summary

_SILENT_AFTER = 30.0
"""Seconds without a heartbeat after which a run whose job is gone counts as killed; the interval is ten."""
_ENDED = (Status.FINISHED, *FAILURES)


@dataclass(frozen=True)
class RunState:
    """The state of a run and of its job.

    Args:
        run: The run.
        status: What it does, or how it ended; `damaged` where its status cannot be read.
        message: One line of explanation.
        job_id: Id of its last job; None where it was never submitted.
        job: The job in the queue; None where the queue was not asked or did not answer.
    """

    run: Run
    status: str
    message: str | None = None
    job_id: str | None = None
    job: ClusterJob | None = None


def job_of(run: Run) -> SubmittedJob | None:
    """Return a run's last job; None where it was never submitted."""
    try:
        jobs = run.record.jobs
    except InputError:
        return None
    return jobs[-1] if jobs else None


def read_states(runs: Sequence[Run]) -> list[RunState]:
    """Return the states of runs, with one call to the queue of each cluster that has jobs of them."""
    submitted = {run.path: (job.cluster, job.id) for run in runs if not _has_ended(run) and (job := job_of(run))}
    jobs = _query(submitted.values())  # before the statuses are read: a run that ends now must not appear killed
    return [_read_state(run, jobs.get(submitted[run.path]) if run.path in submitted else None) for run in runs]


def rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the rows of `aigc ls`: `aigc.runs.table.summary` with job (its id) and queue (its state)."""
    found = []
    for state in read_states(runs):
        row = summary(state.run)
        if row["status"] != DAMAGED:
            row |= {"status": str(state.status), "message": state.message}
        found.append(row | {"job": state.job_id, "queue": str(state.job) if state.job else None})
    return found


def describe_with_job(run: Run) -> dict[str, Any]:
    """Return what `aigc show --json` prints: `aigc.runs.table.describe` with status, job and queue as in `rows`."""
    description, row = describe(run), rows([run])[0]
    return description | {name: row[name] for name in ("status", "message", "job", "queue")}


def _has_ended(run: Run) -> bool:
    try:
        return read_status(run.path).status in _ENDED
    except InputError:
        return True


def _query(wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], ClusterJob]:
    ids: dict[str, list[str]] = {}
    for target, job in wanted:
        ids.setdefault(target, []).append(job)
    found: dict[tuple[str, str], ClusterJob] = {}
    for target, jobs in ids.items():
        try:
            answers = cluster_class(target).queue(jobs)
        except (AigcError, ConfigError) as error:
            log.warning("the queue cannot be queried: %s", error)
            continue
        found |= {(target, job): answer for job, answer in answers.items()}
    return found


def _read_state(run: Run, job: ClusterJob | None) -> RunState:
    try:
        record = read_status(run.path)
    except InputError as error:
        return RunState(run, DAMAGED, str(error))
    submitted = job_of(run)
    job_id = submitted.id if submitted else None
    status, message = _combine(record, job_id, job) if job and job_id else (record.status, record.message)
    return RunState(run, status, message, job_id, job)


def _combine(record: StatusRecord, job_id: str, job: ClusterJob) -> tuple[Status, str | None]:
    """Return status and message by the run's own status and the state of its job."""
    if record.status in (*_ENDED, Status.INTERRUPTED):
        return record.status, record.message
    alive = record.status is Status.RUNNING and _silence(record) < _SILENT_AFTER
    if job.state is JobState.QUEUED and not alive:
        return Status.PENDING, f"job {job_id} is {job}"
    if job.state is JobState.RUNNING and record.status is Status.PENDING:
        return Status.PENDING, f"job {job_id} has started"
    if job.state is JobState.GONE and record.status is Status.PREEMPTED and job.cancelled:
        return record.status, f"job {job_id} was cancelled; {record.message}"
    waits = record.status is Status.PENDING and record.pid is None
    if job.state is JobState.GONE and (waits or (record.status is Status.RUNNING and not alive)):
        return Status.KILLED, f"job {job_id} is {job} and the run left no message"
    return record.status, record.message


def _silence(record: StatusRecord) -> float:
    """Seconds since the last heartbeat."""
    last = datetime.fromisoformat(record.heartbeat or record.since)
    return (datetime.now(UTC) - last).total_seconds()
