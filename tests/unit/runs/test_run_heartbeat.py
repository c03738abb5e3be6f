"""A thread that keeps status.json true, and never has the last word."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aigc.runs import heartbeat
from aigc.runs.heartbeat import Heartbeat
from aigc.runs.status import SILENT_AFTER, Status, StatusRecord, read_status, write_status
from tests.waiting import PATIENCE, takes_at_most, wait_until


def test_a_heartbeat_writes_what_it_is_told_while_nobody_else_does(tmp_path: Path) -> None:
    with Heartbeat(tmp_path, every_seconds=0.02) as beat:
        first = read_status(tmp_path)
        assert (first.status, first.step, first.activity) == (Status.RUNNING, 0, "preparing")
        beat.step, beat.activity = 7, "validating"
        wait_until(lambda: read_status(tmp_path).activity == "validating")
        wait_until(lambda: str(read_status(tmp_path).heartbeat) > str(first.heartbeat))
        last = read_status(tmp_path)
        assert (last.step, last.since, last.pid) == (7, first.since, os.getpid())


def test_no_heartbeat_overwrites_the_final_status(tmp_path: Path) -> None:
    for _ in range(50):
        with Heartbeat(tmp_path, every_seconds=0.0001):
            time.sleep(0.003)
        written = write_status(tmp_path, Status.FINISHED)
        time.sleep(0.003)
        assert read_status(tmp_path) == written
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_the_end_waits_for_a_write_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The write is made slow, so that it is sure to be under way when the context ends.
    began, real = threading.Event(), heartbeat.write_status

    def slow(*arguments: Any, **named: Any) -> StatusRecord:
        if threading.current_thread() is not threading.main_thread():
            began.set()
            time.sleep(0.3)
        return real(*arguments, **named)

    monkeypatch.setattr(heartbeat, "write_status", slow)
    with Heartbeat(tmp_path, every_seconds=0.001) as beat:
        assert began.wait(PATIENCE)
        with takes_at_most(0.2):
            beat.stop(timeout=0.01)  # one that cannot wait does not
    written = write_status(tmp_path, Status.FAILED)
    time.sleep(0.6)
    assert read_status(tmp_path) == written


def test_without_the_end_a_heartbeat_does_overwrite(tmp_path: Path) -> None:
    with Heartbeat(tmp_path, every_seconds=0.01):
        write_status(tmp_path, Status.FINISHED)
        wait_until(lambda: read_status(tmp_path).status is Status.RUNNING)


def test_a_disk_that_cannot_be_written_is_said_once_and_survived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setattr(logging.getLogger("aigc"), "propagate", True)
    with caplog.at_level(logging.WARNING, "aigc"), Heartbeat(folder, every_seconds=0.01) as beat:
        folder.rename(tmp_path / "away")
        wait_until(lambda: caplog.messages)
        time.sleep(0.2)
        assert len({record.created for record in caplog.records}) == 1  # some handlers may see it twice
        assert "status.json" in caplog.messages[0]
        (tmp_path / "away").rename(folder)
        beat.step = 5
        wait_until(lambda: read_status(folder).step == 5)


def test_a_full_disk_does_not_end_the_process(tmp_path: Path) -> None:
    # A limit on the size of files fails writes in the middle, as a full disk does.
    code = """
import resource, signal, sys, time
from aigc.runs.heartbeat import Heartbeat
from aigc.runs.status import Status, read_status, write_status
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Heartbeat(sys.argv[1], every_seconds=0.01) as beat:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
    time.sleep(0.3)
    beat.step = 9
    time.sleep(0.3)
    assert read_status(sys.argv[1]).step == 0, "the disk was not full"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    time.sleep(0.3)
    assert read_status(sys.argv[1]).step == 9
write_status(sys.argv[1], Status.FINISHED)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("status.json cannot be written") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_process_that_was_killed_reads_as_killed_here_and_elsewhere(tmp_path: Path) -> None:
    code = (
        "import sys, time; from aigc.runs.heartbeat import Heartbeat\n"
        "with Heartbeat(sys.argv[1], every_seconds=0.05): print('ready', flush=True); time.sleep(900)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    assert read_status(tmp_path).status is Status.RUNNING
    process.kill()
    process.communicate()
    assert read_status(tmp_path).status is Status.KILLED
    long_ago = (datetime.now(UTC) - timedelta(seconds=SILENT_AFTER + 1)).isoformat()
    content = json.loads((tmp_path / "status.json").read_text())
    as_seen_later_elsewhere = content | {"host": "some-other-machine", "heartbeat": long_ago}
    (tmp_path / "status.json").write_text(json.dumps(as_seen_later_elsewhere))
    assert read_status(tmp_path).status is Status.KILLED


def test_a_second_signal_leaves_the_true_status_whatever_the_heart_does(tmp_path: Path) -> None:
    code = """
import signal, sys, time
from aigc.runs import stop
from aigc.runs.heartbeat import Heartbeat
from aigc.runs.status import Status, write_status
with Heartbeat(sys.argv[1], every_seconds=0.0001) as beat:
    def at_once(number):
        beat.stop(timeout=1)
        write_status(sys.argv[1], Status.INTERRUPTED, step=beat.step, message="ended at once")
    with stop.listening(at_once):
        beat.step = 3
        print("ready", flush=True)
        time.sleep(900)
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    time.sleep(0.8)
    assert read_status(tmp_path).status is Status.RUNNING
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    record = read_status(tmp_path)
    assert (process.returncode, record.status, record.step) == (130, Status.INTERRUPTED, 3)
