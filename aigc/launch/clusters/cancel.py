"""End a run that waits or works, wherever it is: it saves, and does not go on by itself; no torch at import."""

import os
import signal
import socket
import time
from collections.abc import Callable

from aigc.errors import InputError
from aigc.launch.clusters import Cluster, JobState
from aigc.launch.clusters.kinds import cluster_class
from aigc.launch.clusters.run_state import Seen, job_of, look
from aigc.runs import Run
from aigc.runs.status import Status, StatusRecord, read_status, write_status

_WORKS = (Status.PENDING, Status.RUNNING)
_GOES_ON = (*_WORKS, Status.PREEMPTED, Status.KILLED)
"""Statuses from which a job may resume a run."""


def cancel(run: Run, patience: float = 60.0) -> StatusRecord:
    """Tell a run to end, and wait until it has.

    A job that waits is taken out of the queue. A run that works is interrupted: it saves and ends, and is not requeued.
    A trial whose job works on others is interrupted alone, on the machine where it works.

    Args:
        run: The run.
        patience: Seconds to wait for a run that saves; it ends later all the same.

    Returns:
        Its status afterwards; still running when it saves longer than that.

    Raises:
        InputError: It has ended, or works on another machine without a job of its own.
        AigcError: The cluster refuses.
    """
    seen = look([run])[0]
    submitted = job_of(run)
    waits = seen.job is not None and seen.job.state is not JobState.GONE
    if seen.status not in _WORKS and not waits:
        raise InputError(f"run {run.id} is {seen.status}: there is nothing to cancel")
    shared = submitted is not None and waits and submitted.shared
    if shared and submitted and (seen.status != Status.RUNNING or read_status(run.path).host != socket.gethostname()):
        raise InputError(
            f"run {run.id}: its job {seen.job_id} works on other trials, too: "
            f"`{cluster_class(submitted.cluster).cancel_command(submitted.id)}` ends all of them"
        )
    if submitted is None or not waits or shared:
        _interrupt_here(run)
        _wait(lambda: read_status(run.path).status not in _WORKS, patience)
    else:
        _cancel_job(seen, cluster_class(submitted.cluster), submitted.id, patience)
    return read_status(run.path)


def _cancel_job(seen: Seen, cluster: type[Cluster], job: str, patience: float) -> None:
    run = seen.run
    if read_status(run.path).status is Status.RUNNING and seen.job and seen.job.state is JobState.RUNNING:
        cluster.interrupt(job)
        if not _wait(lambda: read_status(run.path).status is not Status.RUNNING, patience):
            return
        _wait(lambda: cluster.queue([job])[job].state is JobState.GONE, 15.0)
        if read_status(run.path).status not in _GOES_ON:
            return
    cluster.cancel(job)  # it waits, or begins and does not listen yet
    _wait(lambda: cluster.queue([job])[job].state is JobState.GONE, patience)
    record = read_status(run.path)
    if record.status in _GOES_ON:
        with run.edit_manifest() as manifest:
            manifest.close_dead_attempts(run.path)
        write_status(run.path, Status.INTERRUPTED, step=record.step, message=f"job {job} was cancelled", pid=0)


def _interrupt_here(run: Run) -> None:
    record = read_status(run.path)
    if record.pid is None:
        raise InputError(f"run {run.id} has neither a job nor a process: `aigc resume {run.id}` goes on with it")
    if record.host != socket.gethostname():
        raise InputError(f"run {run.id} works on {record.host} as process {record.pid} without a job: cancel it there")
    os.kill(record.pid, signal.SIGINT)


def _wait(over: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not over():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
