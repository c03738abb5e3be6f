import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aigc.runs.files import sha256_file, write_atomic, write_json

WRITER = """
import sys
from pathlib import Path
from aigc.runs.files import write_atomic
path, in_place = Path(sys.argv[1]), sys.argv[2] == "in_place"
number = 0
while True:
    number += 1
    text = f"{number:08d}" * 200_000
    path.write_text(text) if in_place else write_atomic(path, text)
    if number == 2:
        print("going", flush=True)
"""


def kill_while_writing(path: Path, way: str, delay: float) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path), way], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "going\n"
    time.sleep(delay)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()


def is_whole(path: Path) -> bool:
    text = path.read_text()
    return text == text[:8] * 200_000 and len(text) == 1_600_000


def test_kill_9_never_leaves_a_torn_file(tmp_path: Path) -> None:
    for attempt in range(8):
        path = tmp_path / f"{attempt}.txt"
        kill_while_writing(path, "atomic", delay=0.003 * attempt)
        assert is_whole(path)


def test_kill_9_would_tear_a_file_that_is_written_in_place(tmp_path: Path) -> None:
    """The control: the test above can see a torn file."""
    for attempt in range(60):
        path = tmp_path / f"{attempt}.txt"
        kill_while_writing(path, "in_place", delay=0.0007 * attempt)
        if not is_whole(path):
            return
    pytest.fail("no torn file in 60 kills: the test above proves nothing")


def test_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_text_bytes_and_names_in_chinese(tmp_path: Path) -> None:
    write_atomic(tmp_path / "诗 1.txt", "床前明月光\n")
    write_atomic(tmp_path / "b", b"\x00\xff")
    assert (tmp_path / "诗 1.txt").read_bytes() == "床前明月光\n".encode()
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"


def test_json_refuses_nan_and_survives_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    argument = os.fsdecode(b"caf\xe9")
    write_json(tmp_path / "a.json", [argument])
    assert json.loads((tmp_path / "a.json").read_text()) == [argument]


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
