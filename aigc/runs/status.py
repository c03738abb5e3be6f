"""status.json: what a run is doing, or how it ended."""

import json
import os
import socket
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from aigc.errors import InputError
from aigc.runs.files import write_json

STATUS_FILE = "status.json"

# A process that started this much after the status was written is another one with the same number. /proc counts from
# the boot time, which moves when the clock is set: a live run must never read as dead for that.
_START_TIME_SLACK = 60.0


class Status(StrEnum):
    """What a run is doing, or how it ended."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    PREEMPTED = "preempted"
    INTERRUPTED = "interrupted"
    KILLED = "killed"


@dataclass(frozen=True)
class StatusRecord:
    """The content of status.json.

    Args:
        status: What the run is doing, or how it ended.
        since: When this status began, UTC in ISO 8601.
        pid: The process that wrote it.
        host: The machine that process ran on.
        step: The optimiser step it had reached.
        message: One line for a person.
    """

    status: Status
    since: str
    pid: int | None = None
    host: str | None = None
    step: int | None = None
    message: str | None = None


def write_status(
    folder: Path | str,
    status: Status | str,
    *,
    step: int | None = None,
    message: str | None = None,
    since: str | None = None,
    pid: int | None = None,
    host: str | None = None,
) -> StatusRecord:
    """Write status.json atomically and return what was written.

    Args:
        folder: The run folder.
        status: One of `Status`; anything else is a ValueError.
        step: The optimiser step reached; None when there is none yet.
        message: One line for a person, such as the reason of a failure.
        since: When the status began; None means now.
        pid: The process the status speaks of; None means this one.
        host: The machine of that process; None means this one.
    """
    record = StatusRecord(
        status=Status(status),
        since=since or utc_now(),
        pid=os.getpid() if pid is None else pid,
        host=host or socket.gethostname(),
        step=step,
        message=message,
    )
    write_json(Path(folder) / STATUS_FILE, asdict(record))
    return record


def read_status(folder: Path | str) -> StatusRecord:
    """Read status.json; a run that says running while its process is dead on this machine reads as killed.

    Raises:
        InputError: The file is missing or damaged.
    """
    path = Path(folder) / STATUS_FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        record = StatusRecord(**{**fields, "status": Status(fields["status"])})
        since = datetime.fromisoformat(record.since).timestamp()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {error}. The run folder is damaged.") from error
    if record.status is Status.RUNNING and _is_dead(record, since):
        message = f"process {record.pid} on {record.host} is gone without a word"
        return replace(record, status=Status.KILLED, message=message)
    return record


def utc_now() -> str:
    """Return the time as UTC in ISO 8601 with microseconds: text that sorts as time does."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _is_dead(record: StatusRecord, since: float) -> bool:
    """Say whether the process of `record` is surely gone; one on another machine may live."""
    if record.pid is None or record.host != socket.gethostname():
        return False
    try:
        os.kill(record.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives and belongs to someone else; its number may still be a reused one
    return _is_zombie_or_younger(record.pid, since)


def _is_zombie_or_younger(pid: int, since: float) -> bool:
    """Say whether `pid` has ended unreaped, or is another process that got the number after `since`."""
    try:
        # The name in parentheses may hold anything, so the fields are counted from the last one.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines()
            if line.startswith("btime ")
        )
    except (OSError, StopIteration):
        return False  # no /proc: the number is alive, and nothing more can be known
    state, started = fields[0], boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return state in "ZX" or started > since + _START_TIME_SLACK
