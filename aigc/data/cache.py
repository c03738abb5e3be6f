"""The cache of prepared data: folders that appear whole or not at all, each made by one process while others wait."""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from aigc.data.fingerprints import sha256_of
from aigc.errors import InputError
from aigc.runs import stop
from aigc.runs.console import log
from aigc.runs.locks import NoLocksError, try_lock

_CHECKSUMS = "checksums.json"
_STALE_AFTER_S = 24 * 3600
_POLL_S = 0.1


def entry_key(ingredients: Mapping[str, Any]) -> str:
    """The name of an entry: a hash of everything that decides its content, in JSON's types."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:32]


def find_or_make(folder: Path, make: Callable[[Path], None]) -> bool:
    """Make an entry unless it is there already.

    Of several processes that need the same entry, one makes it; the others wait and then find it.

    Args:
        folder: The entry.
        make: Fills a temporary folder, which then becomes the entry.

    Returns:
        Whether it was made here.

    Raises:
        InputError: The cache cannot be written to.
        InterruptedRun, PreemptedRun: The process was asked to stop while it waited.
    """
    if is_whole(folder):
        return False
    with locked(folder):
        if is_whole(folder):
            return False
        with writing(folder) as aside:
            make(aside)
    return True


def is_whole(folder: Path) -> bool:
    """Whether every file of an entry has the content that was written.

    A large file is hashed once, and again when its size or times have changed (see `aigc.data.fingerprints`).
    """
    try:
        expected = json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8"))
        return bool(expected == _checksums(folder))
    except (OSError, ValueError, InputError):
        return False


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A temporary folder to fill; at the end of the block it becomes `folder`, or is removed if the block failed.

    If another process has finished the same entry meanwhile, that one stays.

    Raises:
        InputError: The cache cannot be written to.
    """
    aside = folder.parent / f".{folder.name}-{uuid.uuid4().hex}"
    _make_folder(aside)
    _remove_stale(folder)
    try:
        yield aside
        (aside / _CHECKSUMS).write_text(json.dumps(_checksums(aside), indent=1), encoding="utf-8")
        for path in (*aside.rglob("*"), aside):
            _flush(path)
        _put_in_place(aside, folder)
        _flush(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time work on an entry; the lock of a process that dies is released by the system.

    Raises:
        InputError: The cache cannot be written to.
        InterruptedRun, PreemptedRun: The process was asked to stop while it waited.
    """
    _make_folder(folder.parent)
    path = folder.with_name(f".{folder.name}.lock")
    lock = _acquire(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while the lock is held, so that no other process removes one that is in use
        if lock is not None:
            lock.close()


def _acquire(path: Path) -> IO[str] | None:
    """Wait for the lock of a file; None on a file system without locks, where an entry may be written whole twice."""
    waiting = False
    while True:
        try:
            lock = try_lock(path)
        except NoLocksError:
            return None
        except OSError as error:
            raise _unwritable(path.parent, error) from error
        if lock is not None:
            return lock
        if not waiting:
            log.info("waiting for another process that prepares the same data")
        waiting = True
        stop.check()
        time.sleep(_POLL_S)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder.parent, error) from error


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"data.cache: {folder} cannot be written to: {error.strerror}. Name another folder.")


def _put_in_place(aside: Path, folder: Path) -> None:
    """Rename the temporary folder, over a damaged entry but not over a whole one."""
    if folder.exists() and not is_whole(folder):
        damaged = aside.with_name(f"{aside.name}-damaged")
        with suppress(FileNotFoundError):  # another process was faster
            folder.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        aside.rename(folder)
    except OSError:
        if not is_whole(folder):
            raise


def _checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file by its name inside the folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != _CHECKSUMS]
    hashes = sha256_of(paths)
    return {path.relative_to(folder).as_posix(): hashes[path] for path in paths}


def _flush(path: Path) -> None:
    """Force a file or a folder's listing to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left of this entry; a running one would have touched its folder within a day."""
    for path in folder.parent.glob(f".{folder.name}-*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_AFTER_S:
                shutil.rmtree(path, ignore_errors=True)
