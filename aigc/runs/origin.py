"""The origin of a run: the manifest of a run that is about to start, without torch."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aigc
from aigc.files.secrets import redact_arguments
from aigc.runs.environment import available_cores, environment, package_versions, source_digest
from aigc.runs.git import git_state
from aigc.runs.manifest import SCHEMA_VERSION, Manifest
from aigc.runs.status import utc_now


def new_manifest(
    run_id: str,
    *,
    command: Sequence[str],
    seed: int | None = None,
    data_fingerprint: str | None = None,
    config_sha256: str | None = None,
    folder: Path | str | None = None,
    ignore: Path | None = None,
) -> Manifest:
    """Describe a run that is about to start; its attempts fill in the rest.

    Args:
        run_id: The name of the run folder.
        command: The command line as a list of arguments; secrets in it are replaced.
        seed: The seed of the run.
        data_fingerprint: SHA-256 of the content of the data, if known.
        config_sha256: SHA-256 of config.yaml as it was written.
        folder: The folder the run is started from; None means the working directory.
        ignore: The folder of all runs, which is ignored in the git state.
    """
    folder = Path(folder or Path.cwd())
    return Manifest(
        schema_version=SCHEMA_VERSION,
        run_id=run_id,
        created=utc_now(),
        command=redact_arguments(command),
        cwd=str(folder.absolute()),
        git={"working_directory": git_state(folder, ignore), "aigc": _aigc_state(ignore)},
        source_sha256=source_digest(),
        packages=package_versions(),
        python=platform.python_version(),
        platform=platform.platform(),
        environment=environment(),
        hardware=hardware(),
        seed=seed,
        config_sha256=config_sha256,
        data_fingerprint=data_fingerprint,
    )


def hardware() -> dict[str, Any]:
    """Return the CPU model, the cores this process may use, the memory in bytes, and an empty list of GPUs."""
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
    """Return the git state of aigc's source, unless it is an installed copy inside another repository."""
    checkout = Path(aigc.__file__).parents[1]
    return git_state(checkout, ignore) if (checkout / ".git").exists() else None
