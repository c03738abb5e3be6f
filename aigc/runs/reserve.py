"""A place for a new run: its id, and a hidden folder that takes that name once it is whole."""

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
from aigc.runs.status import is_dead

# An id must leave room for what stands around it in the 255 bytes of a file name.
_LONGEST_NAME = 160
_ABANDONED = re.compile(r"\..+\.(\d+)@([^@]+)\.partial")


def reserve(root: Path, experiment: str, run_id: str | None = None) -> tuple[Path, Path]:
    """Make a hidden folder for this process; return it and the folder that it is to become.

    What killed processes of this machine have left there is removed.

    Args:
        root: The folder that holds the runs.
        experiment: The experiment's name, with which a new id begins.
        run_id: The id, if a person has chosen one.

    Raises:
        InputError: The name or the id cannot name a folder.
        RunExists: There is a run of that id.
    """
    _remove_abandoned(root)
    owner = f"{os.getpid()}@{socket.gethostname()[:60]}"
    if run_id is not None and (_clean(run_id) != run_id or run_id == "latest"):
        raise InputError(f"run.id={run_id} cannot name a folder: letters, digits, '_', '-' and '.' can")
    while True:
        new = run_id or f"{_clean(experiment)}-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        temporary, final = root / f".{new}.{owner}.partial", root / new
        temporary.mkdir()
        # Looked for only now: whoever makes the same folder has one of these two by then.
        others = [path for path in root.glob(f".{glob.escape(new)}.*.partial") if path != temporary]
        if not final.exists() and not others:
            return temporary, final
        temporary.rmdir()
        if run_id is not None:
            raise RunExists(f"there is a run {final} already: take another run.id, or run.resume=auto")


def _clean(name: str) -> str:
    """Turn an experiment's name into the beginning of a folder name; letters of every script stay."""
    cleaned = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    if not cleaned or len(os.fsencode(cleaned)) > _LONGEST_NAME:
        raise InputError(
            f"{name!r} cannot name a run: give 1 to {_LONGEST_NAME} bytes of letters, digits, '_', '-', '/'."
        )
    return cleaned


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob(".*.partial"):
        found = _ABANDONED.fullmatch(folder.name)
        if not found or found[2] != socket.gethostname()[:60]:
            continue
        with suppress(FileNotFoundError):  # a living process has given it its name meanwhile
            if is_dead(int(found[1]), folder.stat().st_mtime):
                shutil.rmtree(folder, ignore_errors=True)
