"""Locks between processes, by locked files, which the system releases however their holders end."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


class NoLocksError(OSError):
    """The file system has no locks."""


@contextmanager
def locked(path: Path | str) -> Iterator[None]:
    """Wait for the lock of a file, and hold it for the block.

    After waiting, check the guarded state again: another process may have done the work meanwhile. The lock excludes
    threads as well as processes. A child forked inside the block shares the lock until both have released it.

    Args:
        path: The lock file; created if missing, and kept. Its folder must exist.

    Raises:
        OSError: The file cannot be opened, or its file system has no locks.
    """
    with Path(path).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_lock(path: Path | str) -> IO[str] | None:
    """Return an open file that holds the lock until it is closed; None where another holder has it.

    A holder may remove the file before it releases the lock: whoever waited for that file has to try again.

    Args:
        path: As for `locked`.

    Raises:
        NoLocksError: The file system has no locks.
        OSError: The file cannot be opened.
    """
    file = Path(path).open("a")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError):
            return None
        raise NoLocksError(error.errno, error.strerror, str(path)) from error
    if _is_at(path, file):
        return file
    file.close()
    return None


def _is_at(path: Path | str, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), Path(path).stat())
    except OSError:
        return False
