"""Write files atomically: a reader sees the old content or the new one, never a part."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from aigc.errors import AigcError
from aigc.runs import stop
from aigc.runs.console import log

_BLOCK = 1 << 20
_TEMPORARY = re.compile(r"\.(\d+\.)?[0-9a-f]{8}\.tmp$")
_patience = 60.0


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Replace the content of `path` atomically, even if the machine crashes; on failure the old file stays.

    Args:
        path: The file; its folder must exist.
        data: The whole content; text is written as UTF-8.

    Raises:
        OSError: The folder does not exist, is not writable, or the disk is full.
    """
    # backslashreplace: a command line may hold bytes that are not UTF-8, which must not prevent a run from starting.
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    with replacing(Path(path)) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that is renamed to `path` at the end of the block, or removed on failure.

    It is in the same folder, as a rename across file systems would be a copy and not atomic.

    Raises:
        OSError: As for `write_atomic`; its file name is that of `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = str(path)  # a failed write names no file
        raise
    sync_folder(path.parent)


def remove_half_written(folder: Path) -> None:
    """Remove temporary files of killed processes, recursively; call it only while no other process writes there."""
    for path in list(folder.rglob(".*.tmp")):
        if _TEMPORARY.search(path.name):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON atomically; raises ValueError for NaN and infinities, which JSON lacks."""
    write_atomic(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a mapping from a JSON file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not JSON, or holds something else.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("it holds no mapping")
    return found


def retrying(write: Callable[[], None], what: str) -> None:
    """Call `write` again with growing pauses while it raises OSError, as a disk may be full only for a while.

    `set_write_patience` sets for how long.

    Args:
        write: Writes everything again at each call, and leaves nothing behind when it fails.
        what: The operation, for messages: "save x.ckpt".

    Raises:
        AigcError: It failed all the time, or the process was asked to stop meanwhile.
    """
    pause = 0.5
    end: float | None = None
    while True:
        try:
            write()
            return
        except OSError as error:
            now = time.monotonic()
            end = now + _patience if end is None else end  # counted from the end of the first try
            left = end - now
            reason = error.strerror or str(error)
            if left <= 0:
                raise AigcError(
                    f"cannot {what}: {reason}. Tried for {_patience:g} s; earlier checkpoints are intact. "
                    "Free some space or make the folder writable, then `aigc resume`."
                ) from error
            log.warning("cannot %s: %s; retrying for %.0f s", what, reason, left)
        _sleep(min(pause, max(left, 0.01)), what)
        pause = min(2 * pause, 5.0)


def set_write_patience(seconds: float) -> None:
    """Set for how many seconds this process retries failed writes."""
    global _patience
    _patience = seconds


def _sleep(seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        stop.check(f" while it could not {what}")
        time.sleep(min(0.2, left))


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits, reading it in blocks."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it survives a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems cannot sync a folder; the rename is done in any case.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
