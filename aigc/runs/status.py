"""status.json: what a run is doing, or how it ended."""

import json
import os
import socket
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from aigc.errors import InputError
from aigc.runs.files import write_json

STATUS_FILE = "status.json"

SILENT_AFTER = 120.0
"""Seconds without a heartbeat after which a run on another machine counts as killed."""

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


FAILURES = (Status.FAILED, Status.DIVERGED, Status.OUT_OF_MEMORY)
"""Ends that a resumed run would most likely meet again."""


@dataclass(frozen=True)
class StatusRecord:
    """The content of status.json.

    Args:
        status: What the run is doing, or how it ended.
        since: When this status began, UTC in ISO 8601.
        pid: The process that it speaks of; None when no process has the run, as while it waits for a cluster.
        host: The machine that process ran on.
        step: The optimiser step it had reached.
        message: One line for a person.
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
        status: One of `Status`; anything else is a ValueError.
        step: The optimiser step reached; None when there is none yet.
        message: One line for a person, such as the reason of a failure.
        since: When the status began; None means now.
        pid: The process the status speaks of; None means this one, 0 that no process has the run.
        host: The machine of that process; None means this one.
        activity: What the run does while running, in a word.
        heartbeat: When that process was last seen alive; None means now.
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
    """Read status.json, and see whether the process it speaks of is alive.

    A run that is running or pending reads as killed when its process is dead on this machine; one that runs on another
    machine, when its heartbeat is older than `SILENT_AFTER`.

    Raises:
        InputError: The file is missing or damaged.
    """
    path = Path(folder) / STATUS_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name for field in fields(StatusRecord)}  # a newer version may have written more
        values = {name: value for name, value in content.items() if name in known}
        record = StatusRecord(**{**values, "status": Status(content["status"])})
        reason = _why_dead(record)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} cannot be read: {error}. The run folder is damaged.") from error
    return replace(record, status=Status.KILLED, message=reason) if reason else record


def utc_now() -> str:
    """Return the time as UTC in ISO 8601 with microseconds: text that sorts as time does."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _why_dead(record: StatusRecord) -> str | None:
    """Say why the process of `record` must be gone, though the record says otherwise; None when it may live."""
    since = datetime.fromisoformat(record.since).timestamp()
    seen = datetime.fromisoformat(record.heartbeat).timestamp() if record.heartbeat else None
    if record.status not in (Status.RUNNING, Status.PENDING) or record.pid is None:
        return None
    if record.host == socket.gethostname():
        gone = is_dead(record.pid, since)
        return f"process {record.pid} on {record.host} is gone without a word" if gone else None
    silence = 0.0 if seen is None else datetime.now(UTC).timestamp() - seen
    if record.status is Status.PENDING or silence <= SILENT_AFTER:
        return None
    return f"no sign of life from process {record.pid} on {record.host} for {_readable(silence)}"


def _readable(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def is_dead(pid: int, since: float) -> bool:
    """Say whether a process of this machine that lived at `since` is surely gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives and belongs to someone else; its number may still be a reused one
    return _is_zombie_or_younger(pid, since)


def _is_zombie_or_younger(pid: int, since: float) -> bool:
    """Say whether `pid` has ended unreaped, or is another process that got the number after `since`."""
    try:
        # The name in parentheses may hold anything, so the columns are counted from the last one.
        columns = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines()
            if line.startswith("btime ")
        )
    except (OSError, StopIteration):
        return False  # no /proc: the number is alive, and nothing more can be known
    state, started = columns[0], boot + int(columns[19]) / os.sysconf("SC_CLK_TCK")
    return state in "ZX" or started > since + _START_TIME_SLACK
