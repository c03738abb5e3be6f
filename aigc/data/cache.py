"""Folders that appear whole or not at all: written aside, flushed to disk, renamed, and checked when opened."""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aigc.errors import InputError

_CHECKSUMS = "checksums.json"
_STALE_AFTER_S = 24 * 3600


def key(ingredients: Mapping[str, Any]) -> str:
    """The name of an entry: a hash of all that decides what is in it, which JSON can hold."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:32]


def is_whole(folder: Path) -> bool:
    """Whether every file of an entry is there with the bytes that were written."""
    try:
        expected = json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8"))
        return bool(expected == _checksums(folder))
    except (OSError, ValueError):
        return False


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A temporary folder to fill; at the end of the block it becomes `folder`, or is removed if the block failed.

    When another process has finished the same entry meanwhile, that one stays.

    Raises:
        InputError: The place cannot be written to.
    """
    aside = folder.parent / f".{folder.name}-{uuid.uuid4().hex}"
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"data.cache: {folder.parent} cannot be written to: {error.strerror}. Name another."
        ) from error
    _remove_stale(folder)
    try:
        yield aside
        (aside / _CHECKSUMS).write_text(json.dumps(_checksums(aside), indent=1), encoding="utf-8")
        for path in (*aside.rglob("*"), aside):
            _flush(path)
        _put_in_place(aside, folder)
        _flush(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put_in_place(aside: Path, folder: Path) -> None:
    """Rename, over a damaged entry but not over a whole one."""
    if folder.exists() and not is_whole(folder):
        damaged = aside.with_name(f"{aside.name}-damaged")
        with suppress(FileNotFoundError):  # another process was faster
            folder.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        aside.rename(folder)
    except OSError:
        if not is_whole(folder):
            raise


def _checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file by its name inside the folder."""
    sums = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _CHECKSUMS:
            with path.open("rb") as file:
                sums[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def _flush(path: Path) -> None:
    """Force a file or a folder's listing to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left of this entry; a living one would have touched its folder within a day."""
    for path in folder.parent.glob(f".{folder.name}-*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_AFTER_S:
                shutil.rmtree(path, ignore_errors=True)
