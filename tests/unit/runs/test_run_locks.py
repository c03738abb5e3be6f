"""Locks between processes."""

import errno
import fcntl
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aigc.data.cache import find_or_make
from aigc.runs.locks import NoLocksError, locked, try_lock

HOLD = """
import sys, time
from aigc.runs.locks import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path, order = tmp_path / "one.lock", []

    def work(name: str) -> None:
        with locked(path):
            order.append(name)
            seen.wait(5)
            order.append(name)

    seen = threading.Event()
    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    seen.set()
    for thread in threads:
        thread.join()
    assert "".join(order) in ("aabb", "bbaa")


def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert try_lock(path) is None
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked(path):
        assert try_lock(path) is None
    file = try_lock(path)
    assert file is not None
    file.close()


def test_a_lock_whose_file_was_removed_is_not_taken_for_the_new_one(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "one.lock"
    real = fcntl.flock

    def removed_meanwhile(file, how):
        path.unlink()
        path.touch()
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    assert try_lock(path) is None
    monkeypatch.undo()
    file = try_lock(path)
    assert file is not None
    file.close()


def test_a_file_system_without_locks_is_told_apart(tmp_path: Path, monkeypatch) -> None:
    def none(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(NoLocksError):
        try_lock(tmp_path / "one.lock")
    made = []
    assert find_or_make(tmp_path / "cache/entry", lambda folder: made.append((folder / "a").write_text("a")))
    assert made == [1]
