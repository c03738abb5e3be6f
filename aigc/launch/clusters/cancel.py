"""Cancel a run that is queued or running, on any machine: it saves and is not requeued; no torch at import."""

import os
import signal
import socket
import time
from collections.abc import Callable

from aigc.errors import InputError
from aigc.launch.clusters import Cluster, JobState
from aigc.launch.clusters.kinds import cluster_class
from aigc.launch.clusters.run_state import RunState, job_of, read_states
from aigc.runs import Run
from aigc.runs.status import Status, StatusRecord, read_status, write_status

_ACTIVE = (Status.PENDING, Status.RUNNING)
_RESUMABLE = (*_ACTIVE, Status.PREEMPTED, Status.KILLED)
"""Statuses in which a job may still resume the run."""


def cancel(run: Run, patience: float = 60.0) -> StatusRecord:
    """Ask a run to stop, and wait until it has.

    A waiting job is removed from the queue. A running one is interrupted: it saves and exits, and is not requeued.
    A trial whose job runs other trials as well is interrupted alone, on the machine where it runs.

    Args:
        run: The run.
        patience: Seconds to wait for a run that saves; it exits later in any case.

    Returns:
        Its status afterwards; still running when saving takes longer than that.

    Raises:
        InputError: The run has ended, or runs on another machine without a job of its own.
        AigcError: The cluster refuses.
    """
    state = read_states([run])[0]
    submitted = job_of(run)
    waits = state.job is not None and state.job.state is not JobState.GONE
    if state.status not in _ACTIVE and not waits:
        raise InputError(f"run {run.id} is {state.status}: there is nothing to cancel")
    shared = submitted is not None and waits and submitted.shared
    if shared and submitted and (state.status != Status.RUNNING or read_status(run.path).host != socket.gethostname()):
        raise InputError(
            f"run {run.id}: its job {state.job_id} runs other trials as well: "
            f"`{cluster_class(submitted.cluster).cancel_command(submitted.id)}` ends all of them"
        )
    if submitted is None or not waits or shared:
        _interrupt_process(run)
        _wait(lambda: read_status(run.path).status not in _ACTIVE, patience)
    else:
        _cancel_job(state, cluster_class(submitted.cluster), submitted.id, patience)
    return read_status(run.path)


def _cancel_job(state: RunState, cluster: type[Cluster], job: str, patience: float) -> None:
    run = state.run
    if read_status(run.path).status is Status.RUNNING and state.job and state.job.state is JobState.RUNNING:
        cluster.interrupt(job)
        if not _wait(lambda: read_status(run.path).status is not Status.RUNNING, patience):
            return
        _wait(lambda: cluster.queue([job])[job].state is JobState.GONE, 15.0)
        if read_status(run.path).status not in _RESUMABLE:
            return
    cluster.cancel(job)  # it waits, or starts and does not handle signals yet
    _wait(lambda: cluster.queue([job])[job].state is JobState.GONE, patience)
    record = read_status(run.path)
    if record.status in _RESUMABLE:
        with run.edit_manifest() as manifest:
            manifest.close_dead_attempts(run.path)
        write_status(run.path, Status.INTERRUPTED, step=record.step, message=f"job {job} was cancelled", pid=0)


def _interrupt_process(run: Run) -> None:
    record = read_status(run.path)
    if record.pid is None:
        raise InputError(f"run {run.id} has neither a job nor a process; `aigc resume {run.id}` resumes it")
    if record.host != socket.gethostname():
        raise InputError(f"run {run.id} runs on {record.host} as process {record.pid} without a job: cancel it there")
    os.kill(record.pid, signal.SIGINT)


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
