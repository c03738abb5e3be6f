"""Locks between processes: a locked file, which the system releases however its holder ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path | str) -> Iterator[None]:
    """Hold the lock of a file for the block, and wait until it is free.

    Whoever takes it must look again at what it guards: another process may have done the work meanwhile. Threads and
    processes are kept apart alike. A child forked inside the block holds the lock, too, until both let go of it.

    Args:
        path: The lock file; it is made where it is missing, and stays. Its folder must exist.

    Raises:
        OSError: The file cannot be opened, or its file system has no locks.
    """
    with Path(path).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_lock(path: Path | str) -> IO[str] | None:
    """Return an open file that holds the lock until it is closed; None where another holder has it.

    Args:
        path: As for `locked`.
    """
    file = Path(path).open("a")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
