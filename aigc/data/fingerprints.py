"""SHA-256 of files, remembered: a large corpus is hashed once and not before every run."""

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aigc.errors import InputError
from aigc.runs.files import sha256_file, write_atomic
from aigc.runs.locks import locked

STORE_FILE = "fingerprints.json"
SMALL = 1 << 20
"""Files below this many bytes are hashed each time, which takes no longer than finding them in the store."""
SETTLED_AFTER = 2.0
"""Seconds after its last change before a file's hash is kept: another change in the same clock tick would be missed."""
_MOST_ENTRIES = 10_000
_Signature = list[int]


def sha256_of(paths: Iterable[Path], cache: Path | None = None) -> dict[Path, str]:
    """Return the SHA-256 of each file's content, from the store if the file has the size and times it was hashed with.

    The time of the last change of the file's status, which nobody can set, is compared as well as that of its content,
    so that a copy with an older time is noticed.

    Args:
        paths: The files.
        cache: The folder that holds the store; None means $AIGC_CACHE, or ~/.cache/aigc.

    Returns:
        File to 64 hexadecimal digits, in the order given.

    Raises:
        InputError: A file cannot be read.
    """
    store = _Store((cache_folder() if cache is None else cache) / STORE_FILE)
    hashes = {}
    for path in paths:
        try:
            signature = _signature(path)
            found = store.find(path, signature) if signature[0] >= SMALL else None
            hashes[path] = found or sha256_file(path)
            if not found and signature[0] >= SMALL and _signature(path) == signature and _is_settled(signature):
                store.fresh[str(path.absolute())] = {"signature": signature, "sha256": hashes[path]}
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}.") from error
    store.save()
    return hashes


def cache_folder() -> Path:
    """The folder shared by all runs: $AIGC_CACHE, or ~/.cache/aigc."""
    return Path(os.environ.get("AIGC_CACHE") or "~/.cache/aigc").expanduser()


def _signature(path: Path) -> _Signature:
    """What changes whenever a file's content does: size, time of the content, time of the status, inode."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _is_settled(signature: _Signature) -> bool:
    _, content, status, _ = signature
    return time.time_ns() - max(content, status) > SETTLED_AFTER * 1e9


class _Store:
    """The file of remembered hashes; it is read when the first large file is met."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fresh: dict[str, Any] = {}
        self._known: dict[str, Any] | None = None

    def find(self, path: Path, signature: _Signature) -> str | None:
        """Return the hash of a file whose size and times have not changed; None if it is not known."""
        if self._known is None:
            self._known = self._read()
        entry = self._known.get(str(path.absolute()))
        if not isinstance(entry, dict) or entry.get("signature") != signature:
            return None
        return entry["sha256"] if isinstance(entry.get("sha256"), str) else None

    def save(self) -> None:
        """Write new hashes to the file; a lock keeps those of other processes, and a failure costs only time."""
        if not self.fresh:
            return
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path.with_name(f".{self.path.name}.lock")):
                older = {path: entry for path, entry in self._read().items() if path not in self.fresh}
                newest = list((older | self.fresh).items())[-_MOST_ENTRIES:]
                write_atomic(self.path, json.dumps(dict(newest), indent=0) + "\n")

    def _read(self) -> dict[str, Any]:
        """The entries by absolute path; none when the file is not there or damaged."""
        try:
            found = json.loads(self.path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
