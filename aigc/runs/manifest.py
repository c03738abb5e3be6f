"""manifest.json: what a run was made from, on what it ran, and what came out."""

import json
import os
import platform
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aigc
from aigc.errors import InputError
from aigc.runs.environment import available_cores, environment, package_versions, source_digest
from aigc.runs.files import write_json
from aigc.runs.git import git_state
from aigc.runs.locks import locked
from aigc.runs.metrics_file import decode_values, encode_values
from aigc.runs.secrets import redact_arguments
from aigc.runs.status import Status, read_status, utc_now

MANIFEST_FILE = "manifest.json"
SCHEMA_VERSION = 1
_LOCK_FILE = ".manifest.lock"


def new_manifest(
    run_id: str,
    *,
    command: Sequence[str],
    seed: int | None = None,
    data_fingerprint: str | None = None,
    config_sha256: str | None = None,
    folder: Path | str | None = None,
    ignore: Path | None = None,
) -> dict[str, Any]:
    """Describe a run that is about to start, with what can be known without torch.

    Args:
        run_id: The name of the run folder.
        command: The command line as a list of arguments; secrets in it are replaced.
        seed: The seed of the run.
        data_fingerprint: SHA-256 of the content of the data, when it is known already.
        config_sha256: SHA-256 of config.yaml as it was written.
        folder: Where the person works; None means the working directory.
        ignore: The folder that holds the runs: it does not make the code dirty.

    Returns:
        A dict that JSON can hold. `hardware.gpus`, `threads`, `determinism`, `attempts`, `artifacts`, `metrics` and
        `signatures` are empty: they are filled in by whoever runs it.
    """
    folder = Path(folder or Path.cwd())
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "created": utc_now(),
        "command": redact_arguments(command),
        "cwd": str(folder.absolute()),
        "git": {"working_directory": git_state(folder, ignore), "aigc": _aigc_state(ignore)},
        "source_sha256": source_digest(),
        "packages": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "environment": environment(),
        "hardware": hardware(),
        "threads": {},
        "determinism": {},
        "seed": seed,
        "config_sha256": config_sha256,
        "data_fingerprint": data_fingerprint,
        "attempts": [],
        "artifacts": {},
        "metrics": {},
        "signatures": {},
    }


def new_attempt(from_step: int = 0) -> dict[str, Any]:
    """Describe an attempt at the run that starts now in this process; its end is filled in when it ends."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "start": utc_now(),
        "end": None,
        "exit_code": None,
        "status": "running",
        "from_step": from_step,
        "to_step": None,
    }


def close_dead_attempts(manifest: dict[str, Any], folder: Path | str) -> int:
    """Close as killed every attempt that has no end, and return how many there were.

    Call it before a new attempt is added, by the one process that works on the run from now on: whoever began those
    attempts is dead then. Their end is the last sign of life in status.json.

    Args:
        manifest: The manifest, open for editing.
        folder: The run folder, whose status.json is still that of the dead process.
    """
    still_open = [attempt for attempt in manifest["attempts"] if not attempt.get("end")]
    if still_open:
        record = read_status(folder)
        for attempt in still_open:
            end = max(record.heartbeat or record.since, str(attempt["start"]))
            # A second signal leaves its status, and no time for the manifest.
            status = Status.KILLED if record.status in (Status.RUNNING, Status.PENDING) else record.status
            attempt |= {"end": end, "status": str(status), "to_step": record.step}
    return len(still_open)


def read_manifest(folder: Path | str) -> dict[str, Any]:
    """Read manifest.json.

    Raises:
        InputError: The file is missing, damaged, or written by a newer version of aigc.
    """
    path = Path(folder) / MANIFEST_FILE
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["schema_version"]
        manifest["metrics"] = decode_values(manifest["metrics"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read: {error}. The run folder is damaged.") from error
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema version {version}, this aigc knows {SCHEMA_VERSION}: install a newer aigc."
        )
    return manifest


def write_manifest(folder: Path | str, manifest: Mapping[str, Any]) -> None:
    """Write manifest.json atomically; to change one that exists, use `edit_manifest`."""
    write_json(Path(folder) / MANIFEST_FILE, {**manifest, "metrics": encode_values(manifest["metrics"])})


@contextmanager
def edit_manifest(folder: Path | str) -> Iterator[dict[str, Any]]:
    """Give the manifest to change in place, and write it at the end of the block.

    A lock keeps other processes from editing meanwhile, so that no change is lost. An exception writes nothing.
    """
    with locked(Path(folder) / _LOCK_FILE):
        manifest = read_manifest(folder)
        yield manifest
        write_manifest(folder, manifest)


def merge(target: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Write `changes` into `target`: mappings are merged key by key, anything else is replaced."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


def hardware() -> dict[str, Any]:
    """Return the processor's model, the cores this process may use, the memory in bytes, and an empty list of GPUs."""
    return {
        "cpu": _cpu_model(),
        "cores": available_cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": [],
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _aigc_state(ignore: Path | None) -> dict[str, Any] | None:
    """Return the git state of aigc's own source, unless it is an installed copy inside somebody's repository."""
    checkout = Path(aigc.__file__).parents[1]
    return git_state(checkout, ignore) if (checkout / ".git").exists() else None
