"""Locks between processes."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

from aigc.runs.locks import locked, try_lock

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
