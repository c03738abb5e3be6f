import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aigc.errors import InputError
from aigc.runs.status import SILENT_AFTER, Status, StatusRecord, read_status, write_status
from tests.waiting import wait_until

ELSEWHERE = {"pid": 2**22 + 1, "host": "some-other-machine"}


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def test_round_trip(tmp_path: Path) -> None:
    written = write_status(tmp_path, "diverged", step=7, message="loss is NaN at step 7")
    assert read_status(tmp_path) == written
    assert (written.status, written.pid, written.step) == (Status.DIVERGED, os.getpid(), 7)
    assert datetime.fromisoformat(written.since).utcoffset() == timedelta(0)


def test_unknown_status_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="asleep"):
        write_status(tmp_path, "asleep")


def test_running_in_this_process_is_running(tmp_path: Path) -> None:
    write_status(tmp_path, Status.RUNNING)
    assert read_status(tmp_path).status is Status.RUNNING


def test_running_in_a_dead_process_reads_as_killed(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    write_status(tmp_path, Status.RUNNING, pid=child.pid, step=3)
    record = read_status(tmp_path)
    assert (record.status, record.step) == (Status.KILLED, 3)
    assert str(child.pid) in str(record.message)


def test_running_in_a_zombie_reads_as_killed(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    write_status(tmp_path, Status.RUNNING, pid=child.pid)
    wait_until(lambda: read_status(tmp_path).status is Status.KILLED)
    child.wait()


def test_a_younger_process_with_the_same_number_is_another_one(tmp_path: Path) -> None:
    long_ago = (datetime.now(UTC) - timedelta(days=3650)).isoformat()
    write_status(tmp_path, Status.RUNNING, since=long_ago)
    assert read_status(tmp_path).status is Status.KILLED


def test_a_run_elsewhere_is_running_while_its_heart_beats(tmp_path: Path) -> None:
    write_status(tmp_path, Status.RUNNING, heartbeat=ago(SILENT_AFTER - 20), **ELSEWHERE)
    assert read_status(tmp_path).status is Status.RUNNING


def test_a_silent_run_elsewhere_reads_as_killed_and_says_for_how_long(tmp_path: Path) -> None:
    write_status(tmp_path, Status.RUNNING, heartbeat=ago(600), step=3, **ELSEWHERE)
    record = read_status(tmp_path)
    assert (record.status, record.step) == (Status.KILLED, 3)
    assert record.message == f"no heartbeat from process {2**22 + 1} on some-other-machine for 10 minutes"


def test_a_run_here_that_lives_is_running_however_old_its_heartbeat(tmp_path: Path) -> None:
    write_status(tmp_path, Status.RUNNING, heartbeat=ago(3600))
    assert read_status(tmp_path).status is Status.RUNNING


def test_pending_in_a_dead_process_reads_as_killed(tmp_path: Path) -> None:
    write_status(tmp_path, Status.PENDING)
    assert read_status(tmp_path).status is Status.PENDING
    write_status(tmp_path, Status.PENDING, pid=2**22 + 1)
    assert read_status(tmp_path).status is Status.KILLED


def test_pending_without_a_process_or_elsewhere_stays_pending(tmp_path: Path) -> None:
    assert write_status(tmp_path, Status.PENDING, pid=0, heartbeat=ago(9999)).pid is None
    assert read_status(tmp_path).status is Status.PENDING
    write_status(tmp_path, Status.PENDING, heartbeat=ago(9999), **ELSEWHERE)
    assert read_status(tmp_path).status is Status.PENDING


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.RUNNING, Status.PENDING}))
def test_only_running_and_pending_turn_into_killed(tmp_path: Path, status: Status) -> None:
    written = write_status(tmp_path, status, pid=2**22 + 1, heartbeat=ago(9999))
    assert read_status(tmp_path) == written
    written = write_status(tmp_path, status, heartbeat=ago(9999), **ELSEWHERE)
    assert read_status(tmp_path) == written


def test_files_of_other_versions_are_read(tmp_path: Path) -> None:
    old = {"status": "running", "since": ago(9999), **ELSEWHERE, "step": 4, "message": None}
    (tmp_path / "status.json").write_text(json.dumps(old))
    assert read_status(tmp_path) == StatusRecord(**{**old, "status": Status.RUNNING})
    (tmp_path / "status.json").write_text(json.dumps(old | {"mood": "good"}))
    assert read_status(tmp_path).step == 4


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", "{", "[]", '{"status": "asleep", "since": ""}', '{"since": ""}'),
        '{"status": "running", "since": "?"}',
        '{"status": "running", "since": "2026-01-01T00:00:00+00:00", "heartbeat": "?"}',
    ],
)
def test_damaged_file_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "status.json").write_text(content)
    with pytest.raises(InputError, match=r"status\.json"):
        read_status(tmp_path)
