"""status.json: what a run does now, or how it ended."""

import os
import socket
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from aigc.errors import InputError
from aigc.runs.files import read_mapping, write_json

STATUS_FILE = "status.json"

SILENT_AFTER = 120.0
"""Seconds without a heartbeat after which a run on another machine counts as killed."""

# A process that started this much after the status was written is another one with the same id. /proc counts from the
# boot time, which changes when the clock is set: that must not make a live run appear dead.
_START_TIME_SLACK = 60.0


class Status(StrEnum):
    """What a run does now, or how it ended."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    PREEMPTED = "preempted"
    INTERRUPTED = "interrupted"
    KILLED = "killed"


FAILURES = (Status.FAILED, Status.DIVERGED, Status.OUT_OF_MEMORY)
"""Ends that would most likely occur again in a resumed run."""


@dataclass(frozen=True)
class StatusRecord:
    """The content of status.json.

    Args:
        status: What the run does now, or how it ended.
        since: When this status began, UTC in ISO 8601.
        pid: The process of the run; None when there is none, as while it waits for a cluster.
        host: The machine of that process.
        step: The current optimiser step.
        message: One line of explanation.
        activity: What it does while running: preparing, training, validating, saving, evaluating.
        heartbeat: When that process last wrote this file, UTC in ISO 8601; files of older versions have none.
    """

    status: Status
    since: str
    pid: int | None = None
    host: str | None = None
    step: int | None = None
    message: str | None = None
    activity: str | None = None
    heartbeat: str | None = None


def write_status(
    folder: Path | str,
    status: Status | str,
    *,
    step: int | None = None,
    message: str | None = None,
    since: str | None = None,
    pid: int | None = None,
    host: str | None = None,
    activity: str | None = None,
    heartbeat: str | None = None,
) -> StatusRecord:
    """Write status.json atomically and return what was written.

    Args:
        folder: The run folder.
        status: One of `Status`; anything else raises ValueError.
        step: The current optimiser step; None before the first one.
        message: One line of explanation, such as the reason of a failure.
        since: When the status began; None means now.
        pid: The process of the run; None means this one, 0 means none.
        host: The machine of that process; None means this one.
        activity: What the run does while running, in one word.
        heartbeat: Time of the last heartbeat; None means now.
    """
    now = utc_now()
    record = StatusRecord(
        status=Status(status),
        since=since or now,
        pid=(os.getpid() if pid is None else pid) or None,
        host=host or socket.gethostname(),
        step=step,
        message=message,
        activity=activity,
        heartbeat=heartbeat or now,
    )
    write_json(Path(folder) / STATUS_FILE, asdict(record))
    return record


def read_status(folder: Path | str) -> StatusRecord:
    """Read status.json, and check whether its process is alive.

    A running or pending run is reported as killed when its process on this machine is dead, or when its process is on
    another machine and its heartbeat is older than `SILENT_AFTER`.

    Raises:
        InputError: The file is missing or damaged.
    """
    path = Path(folder) / STATUS_FILE
    try:
        content = read_mapping(path)
        known = {field.name for field in fields(StatusRecord)}  # a newer version may have written more
        values = {name: value for name, value in content.items() if name in known}
        record = StatusRecord(**{**values, "status": Status(content["status"])})
        reason = _why_dead(record)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} cannot be read: {error}. The run folder is damaged.") from error
    return replace(record, status=Status.KILLED, message=reason) if reason else record


def utc_now() -> str:
    """Return the time as UTC in ISO 8601 with microseconds, which sorts by time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _why_dead(record: StatusRecord) -> str | None:
    """Return why the process of a running record must be dead; None when it may be alive."""
    since = datetime.fromisoformat(record.since).timestamp()
    seen = datetime.fromisoformat(record.heartbeat).timestamp() if record.heartbeat else None
    if record.status not in (Status.RUNNING, Status.PENDING) or record.pid is None:
        return None
    if record.host == socket.gethostname():
        gone = is_dead(record.pid, since)
        return f"process {record.pid} on {record.host} is gone" if gone else None
    silence = 0.0 if seen is None else datetime.now(UTC).timestamp() - seen
    if record.status is Status.PENDING or silence <= SILENT_AFTER:
        return None
    return f"no heartbeat from process {record.pid} on {record.host} for {_readable(silence)}"


def _readable(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def is_dead(pid: int, since: float) -> bool:
    """Return whether a process of this machine that was alive at `since` is certainly gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is alive and belongs to another user; its id may still be a reused one
    return _is_zombie_or_younger(pid, since)


def _is_zombie_or_younger(pid: int, since: float) -> bool:
    """Return whether `pid` is a zombie, or another process that got the same id after `since`."""
    try:
        # The name in parentheses may hold any character, so the columns are counted from the last parenthesis.
        columns = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines()
            if line.startswith("btime ")
        )
    except (OSError, StopIteration):
        return False  # without /proc, only the id is known
    state, started = columns[0], boot + int(columns[19]) / os.sysconf("SC_CLK_TCK")
    return state in "ZX" or started > since + _START_TIME_SLACK
