"""metrics.jsonl: one line of JSON per logged step."""

import errno
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from aigc.errors import InputError
from aigc.runs.console import log

FIXED_COLUMNS = ("step", "epoch", "wall_time")
SIGNATURES = "signatures"
"""The key of a line under which it says how its values were made; `read` gives the numbers alone."""


class MetricsFile:
    """Append logged values to metrics.jsonl; each line is out of the process as soon as it is appended.

    A line torn by a crash is cut off when the file is opened again, so that the next one does not join it.

    Args:
        path: The file; it is made when it does not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file = self.path.open("ab", buffering=0)
        cut_torn_line(self.path)

    def append(
        self, step: int, epoch: int, values: Mapping[str, float], signatures: Mapping[str, str] | None = None
    ) -> None:
        """Write one line.

        Args:
            step: Optimiser steps done.
            epoch: The epoch that was running.
            values: Name to value; NaN and infinities are kept. A name of `FIXED_COLUMNS` or `SIGNATURES` is a
                ValueError.
            signatures: Name to how the value was made.

        Raises:
            OSError: The disk refuses; the file is then as it was.
        """
        taken = (*FIXED_COLUMNS, SIGNATURES)
        clash = set(taken).intersection(values)
        if clash:
            raise ValueError(f"a metric cannot be called {sorted(clash)[0]!r}: {', '.join(taken)} are columns")
        row: dict[str, Any] = {"step": int(step), "epoch": int(epoch), "wall_time": time.time()}
        row |= encode_values(values)
        if signatures:
            row[SIGNATURES] = dict(signatures)
        line = json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"
        length = os.fstat(self._file.fileno()).st_size
        written = self._file.write(line)
        if written != len(line):  # the disk was full in the middle of the line
            self._file.truncate(length)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def flush(self) -> int:
        """Flush the file to disk; return its length in bytes."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Flush the file to disk and close it; closing twice does nothing."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read(path: Path | str) -> list[dict[str, Any]]:
    """Read all lines of a metrics file, without a torn last one; no file gives no lines.

    Raises:
        InputError: A line before the last is no JSON object; the message names it.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    # What stands after the last line break was never finished.
    return [_parse(path, number, line) for number, line in enumerate(lines[:-1], start=1) if line]


class MetricsTail:
    """The rows of a metrics file that grows, each given once.

    Args:
        path: The file; it may not exist yet.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._position = 0

    def read(self) -> list[dict[str, Any]]:
        """Return the whole rows that were appended since the last call; all of them where the file was cut meanwhile.

        Raises:
            InputError: A row is damaged.
        """
        try:
            with self.path.open("rb") as file:
                if not self._continues(file):
                    self._position = 0
                file.seek(self._position)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._position += len(whole)
        return [_parse(self.path, 0, line) for line in whole.split(b"\n") if line]

    def _continues(self, file: BinaryIO) -> bool:
        """Whether what was read still ends with a row, as it does not after a resumed run has cut the file."""
        if self._position == 0:
            return True
        file.seek(self._position - 1)
        return file.read(1) == b"\n"


def cut(path: Path | str, size: int) -> None:
    """Keep the first `size` bytes of a metrics file.

    A file that is shorter stays as it is, which only a person's own editing can bring about; a warning says so.
    """
    path = Path(path)
    length = path.stat().st_size if path.exists() else 0
    if length < size:
        log.warning("%s: rows are missing; it had %d bytes at the checkpoint and has %d now", path, size, length)
    if length > size:
        with path.open("rb+") as file:
            file.truncate(size)
            os.fsync(file.fileno())


def read_last(path: Path | str, tail: int = 1 << 16) -> dict[str, Any]:
    """Read the last whole line within the last `tail` bytes of a metrics file; an empty dict when there is none."""
    try:
        with Path(path).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - tail))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return {}
    complete = [line for line in lines[:-1] if line]
    return _parse(path, -1, complete[-1]) if complete else {}


def encode_values(values: Mapping[str, float]) -> dict[str, float | str]:
    """Turn values into what JSON can hold: NaN and infinities become the strings NaN, Infinity and -Infinity."""
    return {name: _encode(float(value)) for name, value in values.items()}


def decode_values(values: Mapping[str, float | str]) -> dict[str, float]:
    """Undo `encode_values`."""
    return {name: float(value) for name, value in values.items()}


def _encode(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _parse(path: Path | str, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
        row.pop(SIGNATURES, None)
        fixed = {name: row.pop(name) for name in FIXED_COLUMNS}
        return {**fixed, **decode_values(row)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        place = f"line {number}" if number > 0 else "a line at its end"
        raise InputError(f"{path}: {place} is damaged: {error}") from error


def cut_torn_line(path: Path) -> None:
    """Take away what a killed writer left unfinished: the next line would be joined to it, and both be lost."""
    with path.open("rb+") as file:
        content_end = file.seek(0, os.SEEK_END)
        position = content_end
        while position > 0:
            start = max(0, position - 4096)
            file.seek(start)
            found = file.read(position - start).rfind(b"\n")
            if found >= 0:
                position = start + found + 1
                break
            position = start
        if position < content_end:
            file.truncate(position)
