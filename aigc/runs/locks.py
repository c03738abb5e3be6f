"""Locks between processes, by locked files, which the system releases however their holders end."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


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
