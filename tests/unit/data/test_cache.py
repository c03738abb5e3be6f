"""An entry of the cache is made by one process, appears whole, and is not hashed again each time it is opened."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aigc.data import cache, fingerprints
from aigc.data.cache import find_or_make, is_whole, locked
from aigc.errors import InterruptedRun

MAKE = """
import sys, time
from pathlib import Path
from aigc.data.cache import find_or_make

def make(aside):
    with open(sys.argv[2], "a") as made:
        made.write("made\\n")
    print("making", flush=True)
    time.sleep(float(sys.argv[3]))
    (aside / "content").write_text("whole")

print("made" if find_or_make(Path(sys.argv[1]), make) else "found", flush=True)
"""


def process(folder: Path, made: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that opens the entry, and takes so long when it has to make it."""
    command = [sys.executable, "-c", MAKE, str(folder), str(made), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_of_several_processes_one_makes_the_entry_and_the_others_find_it(tmp_path: Path) -> None:
    folder, made = tmp_path / "entry", tmp_path / "made"
    processes = [process(folder, made, 0.5) for _ in range(3)]
    outputs = [one.communicate()[0].split() for one in processes]
    assert sorted(output[-1] for output in outputs) == ["found", "found", "made"]
    assert made.read_text() == "made\n"
    assert is_whole(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["entry", "made"]


def test_a_process_that_is_killed_while_it_makes_an_entry_blocks_nobody(tmp_path: Path) -> None:
    folder, made = tmp_path / "entry", tmp_path / "made"
    first = process(folder, made, 3600)
    assert first.stdout is not None
    assert first.stdout.readline() == "making\n"
    second = process(folder, made, 0)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert second.communicate()[0].split() == ["making", "made"]
    assert (folder / "content").read_text() == "whole"


def test_whoever_waits_for_an_entry_can_be_asked_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise InterruptedRun("asked")

    monkeypatch.setattr(cache.stop, "check", stop)
    with locked(tmp_path / "entry"), pytest.raises(InterruptedRun), locked(tmp_path / "entry"):
        pass
    with locked(tmp_path / "entry"):  # nothing is left of either
        pass


@pytest.fixture
def hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were hashed, small files and new ones being remembered too."""
    read: list[str] = []
    real = fingerprints.sha256_file

    def note(path: Path) -> str:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(fingerprints, "sha256_file", note)
    monkeypatch.setattr(fingerprints, "SMALL", 0)
    monkeypatch.setattr(fingerprints, "SETTLED_AFTER", -1e9)
    monkeypatch.setenv("AIGC_CACHE", str(tmp_path / "store"))
    return read


def fill(aside: Path) -> None:
    (aside / "split").mkdir()
    (aside / "split/tokens").write_bytes(b"0123456789")
    (aside / "info").write_text("{}")


def test_an_entry_is_hashed_once_and_not_whenever_it_is_opened(tmp_path: Path, hashed: list[str]) -> None:
    folder = tmp_path / "entry"
    assert find_or_make(folder, fill)
    assert is_whole(folder)
    hashed.clear()
    assert not find_or_make(folder, fill)
    assert hashed == []


@pytest.mark.parametrize("damage", ["change", "shorten", "remove", "add"])
def test_a_file_that_was_damaged_after_it_was_remembered_is_noticed(
    tmp_path: Path, hashed: list[str], damage: str
) -> None:
    folder = tmp_path / "entry"
    find_or_make(folder, fill)
    assert is_whole(folder)
    tokens = folder / "split/tokens"
    if damage == "change":
        times = tokens.stat()
        tokens.write_bytes(b"0123456780")
        os.utime(tokens, ns=(times.st_atime_ns, times.st_mtime_ns))  # the time of its status gives it away
    elif damage == "shorten":
        os.truncate(tokens, 9)
    elif damage == "remove":
        tokens.unlink()
    else:
        (folder / "split/more").write_text("")
    assert not is_whole(folder)
    assert find_or_make(folder, fill)
    assert (folder / "split/tokens").read_bytes() == b"0123456789"
