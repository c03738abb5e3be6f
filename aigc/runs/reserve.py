"""Reserve the id of a new run, with a hidden folder that is renamed to it once it is complete."""

import glob
import os
import re
import secrets
import shutil
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from aigc.errors import InputError, RunExists
from aigc.files.names import LONGEST_NAME, name_problem
from aigc.runs.status import is_dead

_ABANDONED = re.compile(r"\..+\.(\d+)@([^@]+)\.partial")


def reserve(root: Path, experiment: str, run_id: str | None = None) -> tuple[Path, Path]:
    """Create a hidden folder for this process; return it and the final folder.

    Folders that killed processes of this machine have left are removed.

    Args:
        root: The folder of all runs.
        experiment: The experiment's name, which starts a new id.
        run_id: The id, if the user has chosen one.

    Raises:
        InputError: The name or the id is not a valid folder name.
        RunExists: There is a run with that id.
    """
    _remove_abandoned(root)
    if run_id is not None:
        check_free(root, run_id)
    while True:
        new = run_id or f"{_clean(experiment)}-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        temporary, final = _hidden(root, new), root / new
        temporary.mkdir()
        # Checked only now: a process that reserves the same id has one of these two folders by then.
        others = [path for path in root.glob(f".{glob.escape(new)}.*.partial") if path != temporary]
        if not final.exists() and not others:
            return temporary, final
        temporary.rmdir()
        if run_id is not None:
            raise _taken(final)


def try_place(root: Path) -> None:
    """Create a hidden folder and remove it; should this process be killed in between, `reserve` removes it.

    Raises:
        OSError: No folder can be made here.
    """
    folder = _hidden(root, secrets.token_hex(4))
    folder.mkdir()
    folder.rmdir()


def check_free(root: Path, run_id: str) -> None:
    """Check that a new run can have this id.

    Raises:
        InputError: It is not a valid folder name.
        RunExists: There is a run with that id.
    """
    if what := name_problem(run_id):
        raise InputError(f"run.id: {what}")
    if (root / run_id).exists():
        raise _taken(root / run_id)


def _hidden(root: Path, name: str) -> Path:
    """Return the hidden folder of a name that this process reserves."""
    return root / f".{name}.{os.getpid()}@{socket.gethostname()[:60]}.partial"


def _taken(folder: Path) -> RunExists:
    return RunExists(f"there is a run {folder} already: choose another run.id, or run.resume=auto")


def _clean(name: str) -> str:
    """Convert an experiment's name to the start of a folder name; letters of all scripts are kept."""
    cleaned = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    if not cleaned or len(os.fsencode(cleaned)) > LONGEST_NAME:
        raise InputError(
            f"{name!r} is not a valid run name; use 1 to {LONGEST_NAME} bytes of letters, digits, '_', '-', '/'."
        )
    return cleaned


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob(".*.partial"):
        found = _ABANDONED.fullmatch(folder.name)
        if not found or found[2] != socket.gethostname()[:60]:
            continue
        with suppress(FileNotFoundError):  # its process has renamed it meanwhile
            if is_dead(int(found[1]), folder.stat().st_mtime):
                shutil.rmtree(folder, ignore_errors=True)
