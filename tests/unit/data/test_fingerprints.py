"""A file is hashed once, and again as soon as it can have changed."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.data import fingerprints
from aigc.data.fingerprints import STORE_FILE, sha256_of
from aigc.data.text.corpus import digest_files
from aigc.errors import InputError

FILL = """
import sys
from pathlib import Path
from aigc.data import fingerprints
fingerprints.SMALL, fingerprints.SETTLED_AFTER = 0, -1e9
for path in sorted(Path(sys.argv[1]).glob(sys.argv[3])):
    fingerprints.sha256_of([path], Path(sys.argv[2]))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that keeps small files too, at once."""
    monkeypatch.setattr(fingerprints, "SMALL", 0)
    monkeypatch.setattr(fingerprints, "SETTLED_AFTER", -1e9)
    monkeypatch.setenv("AIGC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The files that were really read."""
    read: list[Path] = []
    real = fingerprints.sha256_file

    def note(path: Path) -> str:
        read.append(path)
        return real(path)

    monkeypatch.setattr(fingerprints, "sha256_file", note)
    return read


def plain(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_is_read_once(write, cache: Path, hashed: list[Path]) -> None:
    one, two = write("a.txt", "abc"), write("b.txt", "abd")
    for _ in range(3):
        assert sha256_of([one, two]) == {one: plain(one), two: plain(two)}
    assert hashed == [one, two]


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=6))
@settings(max_examples=30)
def test_whatever_is_written_the_hash_is_that_of_the_content(write, cache: Path, contents: list[bytes]) -> None:
    for content in contents:
        path = write("a.bin", content)
        assert sha256_of([path], cache)[path] == hashlib.sha256(content).hexdigest()


def test_a_change_that_hides_its_size_and_time_is_noticed(write, cache: Path, hashed: list[Path]) -> None:
    path = write("a.txt", "abc")
    before = path.stat()
    sha256_of([path])
    time.sleep(0.02)  # the clock of a file system ticks every few milliseconds
    path.write_bytes(b"abd")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert sha256_of([path])[path] == hashlib.sha256(b"abd").hexdigest()
    assert len(hashed) == 2


def test_another_file_under_the_same_name_is_noticed(write, cache: Path) -> None:
    path, other = write("a.txt", "abc"), write("b.txt", "xyz")
    sha256_of([path])
    other.replace(path)
    assert sha256_of([path])[path] == hashlib.sha256(b"xyz").hexdigest()


def test_a_file_that_just_changed_is_not_kept(write, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "SETTLED_AFTER", 2.0)
    path = write("a.txt", "abc")
    sha256_of([path])
    assert not (cache / STORE_FILE).exists()
    os.utime(path, ns=(0, 0))  # an old time of the content: that of the status is new all the same
    sha256_of([path])
    assert not (cache / STORE_FILE).exists()
    now = time.time_ns()
    monkeypatch.setattr(fingerprints.time, "time_ns", lambda: now + 3 * 10**9)
    sha256_of([path])
    assert str(path) in json.loads((cache / STORE_FILE).read_text())


def test_a_file_from_the_future_is_not_kept(write, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "SETTLED_AFTER", 2.0)
    path = write("a.txt", "abc")
    os.utime(path, (time.time() + 9999, time.time() + 9999))
    later = time.time_ns() + 10**10
    monkeypatch.setattr(fingerprints.time, "time_ns", lambda: later)
    sha256_of([path])
    assert not (cache / STORE_FILE).exists()


def test_a_file_that_changes_while_it_is_read_is_not_kept(write, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("a.txt", "abc")
    real = fingerprints.sha256_file

    def change(file: Path) -> str:
        found = real(file)
        file.write_bytes(b"longer")
        return found

    monkeypatch.setattr(fingerprints, "sha256_file", change)
    sha256_of([path])
    assert not (cache / STORE_FILE).exists()


def test_a_small_file_needs_no_store(write, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "SMALL", 100)
    small, large = write("a.txt", "x" * 99), write("b.txt", "x" * 100)
    sha256_of([small, large])
    assert list(json.loads((cache / STORE_FILE).read_text())) == [str(large)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"3", b"[" * 100_000, b'{"x": {"sha256": 3}}'])
def test_a_damaged_store_is_ignored_and_written_anew(write, cache: Path, content: bytes) -> None:
    path = write("a.txt", "abc")
    cache.mkdir()
    (cache / STORE_FILE).write_bytes(content)
    assert sha256_of([path])[path] == plain(path)
    assert json.loads((cache / STORE_FILE).read_text())[str(path)]["sha256"] == plain(path)


@pytest.mark.parametrize("entry", [3, [], {}, {"signature": None}, {"sha256": "0" * 64}])
def test_a_damaged_entry_is_ignored(write, cache: Path, entry: object) -> None:
    path = write("a.txt", "abc")
    sha256_of([path])
    (cache / STORE_FILE).write_text(json.dumps({str(path): entry}))
    assert sha256_of([path])[path] == plain(path)


def test_a_store_that_cannot_be_written_costs_only_time(write, tmp_path: Path, cache: Path) -> None:
    path = write("a.txt", "abc")
    write("file", "")
    assert sha256_of([path], tmp_path / "file" / "cache")[path] == plain(path)
    (cache / STORE_FILE).mkdir(parents=True)
    assert sha256_of([path])[path] == plain(path)


def test_processes_that_write_at_once_lose_nothing(write, tmp_path: Path) -> None:
    for number in range(24):
        write(f"data/{number % 3}-{number}.txt", str(number))
    command = [sys.executable, "-c", FILL, str(tmp_path / "data"), str(tmp_path / "cache")]
    children = [subprocess.Popen([*command, f"{number}-*"]) for number in range(3)]
    assert [child.wait() for child in children] == [0] * 3
    found = json.loads((tmp_path / "cache" / STORE_FILE).read_text())
    expected = {str(path): plain(path) for path in (tmp_path / "data").iterdir()}
    assert {place: entry["sha256"] for place, entry in found.items()} == expected
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [f".{STORE_FILE}.lock", STORE_FILE]


def test_the_store_does_not_grow_without_end(write, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "_MOST_ENTRIES", 3)
    paths = [write(f"{number}.txt", "x") for number in range(5)]
    for path in paths:
        sha256_of([path])
    assert list(json.loads((cache / STORE_FILE).read_text())) == [str(path) for path in paths[2:]]


def test_the_fingerprint_of_a_corpus_is_the_same_with_and_without_the_store(write, cache: Path) -> None:
    files = {"b.txt": write("b.txt", "二"), "a.txt": write("a.txt", "一")}
    expected = hashlib.sha256("".join(f"{n}\0{plain(p)}\n" for n, p in files.items()).encode()).hexdigest()
    assert [digest_files(files) for _ in range(2)] == [expected] * 2


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.txt: cannot be read: No such file"):
        digest_files({".txt": tmp_path / "gone.txt"})
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        digest_files({".txt": tmp_path})
