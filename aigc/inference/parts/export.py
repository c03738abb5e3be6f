"""A run's model as files that stand by themselves: written, loaded into a fresh object, compared, and only then named.

They lie in a folder beside the one asked for until all of this is done, so that what has a name is whole and right.
"""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from aigc.errors import AigcError, InputError
from aigc.inference.find import model_of_task, saved_model
from aigc.runs import Run
from aigc.runs.files import sync_folder
from aigc.runs.status import Status


class Exported(NamedTuple):
    """What was written and how it was compared."""

    files: list[Path]
    compared: str
    difference: float
    """The largest one."""
    note: str = ""
    """What else is to be said of it."""


def export(run: Run, form: str, folder: Path, checkpoint: str | None = None, force: bool = False) -> Exported:
    """Write a run's model and check that it is the same when it is loaded again.

    Args:
        run: The run.
        form: One of the formats of its kind of model.
        folder: Where; it is made when it does not exist.
        checkpoint: last, best or step-N; None takes what a finished run left in model/.
        force: Replace files of the same names.

    Raises:
        InputError: The run is not finished, or has no such checkpoint; the format is not for its model, or needs a
            package that is not installed; files are in the way, or cannot be written.
        AigcError: What was loaded again differs from what was written.
    """
    if checkpoint is None:
        _check_finished(run)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: that is a file; name a folder")
    model = saved_model(run) if checkpoint is None else model_of_task(run)
    model.check_format(form)
    _check_free(folder, model.always_exported, force)
    with _beside(folder) as temporary:
        what, difference, allowed, note = model.export(form, temporary, checkpoint)
        if not difference <= allowed:  # NaN fails, too
            raise AigcError(f"{run.id}: {what} differ by {difference:g}, at most {allowed:g} is right; not written")
        files = _move(temporary, folder, force)
    return Exported(files, what, difference, note)


def _check_finished(run: Run) -> None:
    """Check that the model is the final one."""
    if run.status is not Status.FINISHED:
        now = " --checkpoint last exports what it has now." if any(run.checkpoints.glob("step-*.ckpt")) else ""
        raise InputError(f"{run.id} is not finished (status {run.status}): let it, or `aigc resume {run.id}`.{now}")


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Make an empty folder on the same file system, and remove it at the end; inside a folder that may be a mount."""
    parent = folder if folder.is_dir() else folder.absolute().parent
    temporary = parent / f".{folder.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be made: {error.strerror or error}") from error
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_free(folder: Path, names: Iterable[str | Path], force: bool) -> None:
    """Check that no file is in the way, or may be replaced; raises InputError."""
    there = [folder / name for name in names if (folder / name).exists()]
    if there and not force:
        raise InputError(f"{there[0]} exists already; --force replaces it, --out names another folder")


def _move(temporary: Path, folder: Path, force: bool) -> list[Path]:
    """Give all files their names; each is replaced in one step."""
    names = sorted(path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file())
    _check_free(folder, names, force)
    files: list[Path] = []
    readable = temporary.stat().st_mode & 0o666  # safetensors creates files that only the owner may read
    try:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).chmod(readable)
            _sync(temporary / name)
            (temporary / name).replace(folder / name)
            files.append(folder / name)
        sync_folder(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return files


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
