import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aigc.errors import InputError
from aigc.runs.status import Status, read_status, write_status


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
    deadline = time.monotonic() + 10
    while read_status(tmp_path).status is Status.RUNNING and time.monotonic() < deadline:
        time.sleep(0.02)
    assert read_status(tmp_path).status is Status.KILLED
    child.wait()


def test_a_younger_process_with_the_same_number_is_another_one(tmp_path: Path) -> None:
    long_ago = (datetime.now(UTC) - timedelta(days=3650)).isoformat()
    write_status(tmp_path, Status.RUNNING, since=long_ago)
    assert read_status(tmp_path).status is Status.KILLED


def test_nothing_is_said_about_processes_of_other_machines(tmp_path: Path) -> None:
    write_status(tmp_path, Status.RUNNING, pid=2**22 + 1, host="some-other-machine")
    assert read_status(tmp_path).status is Status.RUNNING


def test_only_running_turns_into_killed(tmp_path: Path) -> None:
    write_status(tmp_path, Status.FINISHED, pid=2**22 + 1)
    assert read_status(tmp_path).status is Status.FINISHED


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[]", '{"status": "asleep", "since": ""}', '{"since": ""}', '{"status": "running", "since": "?"}'],
)
def test_damaged_file_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "status.json").write_text(content)
    with pytest.raises(InputError, match=r"status\.json"):
        read_status(tmp_path)
