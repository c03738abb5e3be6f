"""manifest.json: the origin of a run, its environment and its results.

A new entry is one field here, and whoever knows its value sets it. A field that has its default is left out of the
file, unless it is declared by `always`.
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from aigc.errors import InputError
from aigc.runs.entries import Entry, always, nested
from aigc.runs.files import read_mapping, write_json
from aigc.runs.locks import locked
from aigc.runs.metrics_file import decode_values, encode_values
from aigc.runs.status import Status, read_status, utc_now

MANIFEST_FILE = "manifest.json"
SCHEMA_VERSION = 1
_LOCK_FILE = ".manifest.lock"


@dataclass(kw_only=True)
class Attempt(Entry):
    """One process, or one set of ranks, that trained the run; times are UTC in ISO 8601."""

    host: str | None = always()
    pid: int | None = always()
    start: str = always("")
    end: str | None = always()
    """None while it runs, or when it was killed and this is not recorded yet."""
    exit_code: int | None = always()
    status: str = always("running")
    from_step: int = always(0)
    to_step: int | None = always()
    overrides: list[str] = field(default_factory=list)
    """Overrides of this attempt and later ones."""
    precision: str | None = None
    threads: int | None = None
    device: str | None = None
    source_sha256: str | None = None

    @property
    def seconds(self) -> float:
        """Duration; 0 where its end is not known."""
        if not self.end:
            return 0.0
        return (datetime.fromisoformat(self.end) - datetime.fromisoformat(self.start)).total_seconds()

    @property
    def was_refused(self) -> bool:
        """Whether it ended with wrong input before its first step; its overrides do not apply."""
        return self.exit_code == InputError.exit_code and self.to_step == self.from_step


@dataclass(kw_only=True)
class SubmittedJob(Entry):
    """A job of a cluster that the run waited for."""

    cluster: str
    """The class of the cluster, as a dotted name."""
    id: str
    submitted: str = always("")
    shared: bool = False
    """Whether it runs other trials as well."""


@dataclass(kw_only=True)
class Result(Entry):
    """Results besides the metrics."""

    best_step: int | None = always()
    """The step whose weights are kept; None for the last ones."""
    earlier_end: bool | None = None
    """Whether that step was validated only as the last one of a run that took more steps later."""
    seconds: float = always(0.0)
    """Duration of all attempts."""
    per_second: float | None = None
    unit: str | None = None


@dataclass(kw_only=True)
class Manifest(Entry):
    """Everything recorded of a run except its config, status and metrics over time."""

    schema_version: int
    run_id: str
    created: str
    command: list[str] = always(list)
    cwd: str | None = None
    git: dict[str, Any] = always(dict)
    """State of the working directory and of aigc."""
    source_sha256: str | None = None
    packages: dict[str, str | None] = field(default_factory=dict)
    python: str | None = None
    platform: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    threads: dict[str, Any] = field(default_factory=dict)
    determinism: dict[str, Any] = field(default_factory=dict)
    precision: str | None = None
    seed: int | None = always()
    config_sha256: str | None = None
    data_fingerprint: str | None = always()
    identity: str | None = always()
    """Hash of the config's meaning, see `aigc.config.identity`."""
    sweep: dict[str, Any] | None = None
    """Id, trial and overrides, where the run is a trial of a sweep."""
    reproduces: str | None = None
    """The run that this one trains again."""
    until_step: int | None = None
    """Last step of a reproduction of the first steps."""
    code_folders: list[str] = field(default_factory=list)
    """Folders of the frozen code, for a queued run."""
    jobs: list[SubmittedJob] = nested(SubmittedJob, list)
    attempts: list[Attempt] = always(list, of=Attempt)
    artifacts: dict[str, str] = always(dict)
    """SHA-256 by file in the run folder."""
    metrics: dict[str, float] = always(dict)
    """Final metrics."""
    signatures: dict[str, str] = always(dict)
    """Signatures of the final metrics, by name."""
    result: Result | None = nested(Result)

    def begin_attempt(self, from_step: int = 0, overrides: Sequence[str] = ()) -> Attempt:
        """Add an attempt that starts now in this process."""
        attempt = Attempt(
            host=socket.gethostname(), pid=os.getpid(), start=utc_now(), from_step=from_step, overrides=list(overrides)
        )
        self.attempts.append(attempt)
        return attempt

    def end_attempt(self, status: Status, exit_code: int, to_step: int) -> None:
        """Record how the last attempt ended; does nothing where there is none, as when ranks did not connect."""
        if self.attempts:
            last = self.attempts[-1]
            last.end, last.status, last.exit_code, last.to_step = utc_now(), str(status), exit_code, to_step

    def close_dead_attempts(self, folder: Path | str) -> int:
        """Close as killed every attempt that has no end, and return how many there were.

        Call it before a new attempt begins, in the process that holds the run, so that the processes of those attempts
        are dead. Their end is the last heartbeat in status.json.

        Args:
            folder: The run folder; its status.json is still that of the dead process.
        """
        still_open = [attempt for attempt in self.attempts if not attempt.end]
        if still_open:
            record = read_status(folder)
            for attempt in still_open:
                attempt.end = max(record.heartbeat or record.since, attempt.start)
                # After a second signal the status is written, but not the manifest.
                killed = record.status in (Status.RUNNING, Status.PENDING)
                attempt.status = str(Status.KILLED if killed else record.status)
                attempt.to_step = record.step
        return len(still_open)

    def note_job(self, job: SubmittedJob) -> None:
        """Record the job of the run, once even when it was requeued."""
        if not self.jobs or self.jobs[-1].id != job.id:
            self.jobs.append(job)

    def note_machine(self, precision: str, **described: Any) -> None:
        """Record the machine of the last attempt; `described` holds fields by name."""
        known = {one.name for one in fields(self)}
        for name, value in {**described, "precision": precision}.items():
            if name not in known:
                raise TypeError(f"the manifest has no field {name!r}")
            setattr(self, name, value)
        if self.attempts:
            self.attempts[-1].precision = precision

    def note_result(
        self, metrics: Mapping[str, float], signatures: Mapping[str, str], artifacts: Mapping[str, str], result: Result
    ) -> None:
        """Record the results of the run."""
        self.metrics, self.signatures, self.artifacts = dict(metrics), dict(signatures), dict(artifacts)
        self.result = result


def read_manifest(folder: Path | str) -> dict[str, Any]:
    """Read manifest.json as in the file, with its metrics as numbers.

    Raises:
        InputError: The file is missing, damaged, or written by a newer version of aigc.
    """
    path = Path(folder) / MANIFEST_FILE
    try:
        manifest = read_mapping(path)
        version = manifest["schema_version"]
        manifest["metrics"] = decode_values(manifest["metrics"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read: {error}. The run folder is damaged.") from error
    if not isinstance(version, int):
        raise InputError(
            f"{path} cannot be read: schema_version is {version!r}, not an integer. The run folder is damaged."
        )
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema version {version}, and this aigc reads up to {SCHEMA_VERSION}: install a newer aigc."
        )
    return manifest


def read_record(folder: Path | str) -> Manifest:
    """Read manifest.json with named fields; raises InputError as `read_manifest`."""
    content = read_manifest(folder)
    try:
        return Manifest.from_dict(content)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise InputError(
            f"{Path(folder) / MANIFEST_FILE} cannot be read: {error}. The run folder is damaged."
        ) from error


def write_manifest(folder: Path | str, manifest: Manifest) -> None:
    """Write manifest.json atomically; to change one that exists, use `edit_manifest`."""
    write_json(Path(folder) / MANIFEST_FILE, {**manifest.as_dict(), "metrics": encode_values(manifest.metrics)})


@contextmanager
def edit_manifest(folder: Path | str) -> Iterator[Manifest]:
    """Yield the manifest for changes in place, and write it at the end of the block.

    A lock prevents concurrent edits, so that no change is lost. After an exception nothing is written.
    """
    with locked(Path(folder) / _LOCK_FILE):
        manifest = read_record(folder)
        yield manifest
        write_manifest(folder, manifest)
