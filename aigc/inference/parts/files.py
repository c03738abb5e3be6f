"""Files that a person names with `--out`."""

from collections.abc import Sequence
from pathlib import Path

from aigc.errors import InputError
from aigc.runs.files import write_atomic


def check_free(files: Sequence[Path], force: bool) -> None:
    """Check that no file is in the way, before anything is made.

    Raises:
        InputError: One exists, and `force` does not allow to replace it.
    """
    there = [file for file in files if file.exists()]
    if there and not force:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise InputError(f"{there[0]}{more} exists already; --force replaces it, --out names another path")


def check_folder(folder: Path) -> None:
    """Check that the folder of a file is there; raises InputError."""
    if not folder.is_dir():
        raise InputError(f"--out: there is no folder {folder}; make it first")


def write(path: Path, content: bytes | str) -> None:
    """Write a file atomically.

    Raises:
        InputError: It cannot be written.
    """
    try:
        write_atomic(path, content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
