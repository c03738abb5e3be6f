"""`aigc cancel` of runs on this machine, and the status of a run combined with the state of its job."""

import json
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from aigc.launch.clusters import ClusterJob, JobState
from aigc.launch.clusters.run_state import _combine
from aigc.runs.status import Status, StatusRecord, write_status
from tests.launch.tiny_runs import command, finish, place_at, reached, run_in, start, the_run
from tests.waiting import wait_until

QUEUED, RUNNING = ClusterJob(JobState.QUEUED, "Resources"), ClusterJob(JobState.RUNNING)
GONE, CANCELLED = ClusterJob(JobState.GONE), ClusterJob(JobState.GONE, "CANCELLED", cancelled=True)


def record(status: Status, silent: float = 0, pid: int | None = 7) -> StatusRecord:
    seen = (datetime.now(UTC) - timedelta(seconds=silent)).isoformat()
    return StatusRecord(status, since=seen, pid=pid, host="another", heartbeat=seen)


@pytest.mark.parametrize(
    ("message", "job", "truth"),
    [
        (partial(record, Status.PENDING, pid=None), QUEUED, "pending"),
        (partial(record, Status.PENDING, pid=None), RUNNING, "pending"),
        (partial(record, Status.PENDING, pid=None), CANCELLED, "killed"),
        (partial(record, Status.RUNNING), RUNNING, "running"),
        (partial(record, Status.RUNNING, 50), RUNNING, "running"),
        (partial(record, Status.RUNNING), GONE, "running"),  # resumed on another machine
        (partial(record, Status.RUNNING, 40), GONE, "killed"),
        (partial(record, Status.RUNNING, 40), QUEUED, "pending"),  # its node has failed
        (partial(record, Status.PREEMPTED), QUEUED, "pending"),
        (partial(record, Status.PREEMPTED), CANCELLED, "preempted"),
        (partial(record, Status.KILLED), QUEUED, "pending"),
        (partial(record, Status.FINISHED), QUEUED, "finished"),
        (partial(record, Status.FAILED), GONE, "failed"),
        (partial(record, Status.INTERRUPTED), CANCELLED, "interrupted"),
    ],
)
def test_the_status_combines_the_run_s_own_and_the_queue_s(message, job, truth):
    assert _combine(message(), "12", job)[0] == truth  # made now, as a heartbeat expires


@pytest.mark.slow
def test_a_run_on_this_machine_saves_and_is_interrupted(tmp_path):
    place = place_at(tmp_path / "here")
    slow = ["+callbacks.slow._target_=tests.launch.rank_faults.Slow", "--trust=tests"]
    child = start(place, command("language_model", 40, 40, *slow))
    wait_until(lambda: run_in(place) and reached(the_run(place)) >= 2)
    assert "interrupted" in finish(place, ["cancel", "latest"])
    assert child.wait() == 130, child.output
    run = the_run(place)
    assert run.status == "interrupted"
    assert list(run.checkpoints.glob("*.ckpt"))
    again = start(place, ["cancel", "latest"])
    assert again.wait() == 2
    assert "is interrupted: there is nothing to cancel" in again.output


@pytest.mark.slow
def test_a_run_without_job_or_on_another_machine_is_refused_with_what_to_do(tmp_path):
    place = place_at(tmp_path / "elsewhere")
    finish(place, command("language_model", 2, 2))
    run = the_run(place)
    for pid, host, message in ((0, None, "neither a job nor a process"), (os.getpid(), "another", "runs on another")):
        write_status(run.path, Status.PENDING if not pid else Status.RUNNING, pid=pid, host=host)
        child = start(place, ["cancel", run.id])
        assert child.wait() == 2, child.output
        assert message in child.output
    assert json.loads(Path(run.path / "status.json").read_text())["host"] == "another"
