"""metrics.jsonl: one line of JSON per logged step, with all its values."""

import errno
import json
import math
import os
import time
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from aigc.errors import InputError
from aigc.runs.console import log

FIXED_COLUMNS = ("step", "epoch", "wall_time")
SIGNATURES = "signatures"
"""The key of a line under which it says how its values were made; `read` gives the numbers alone."""
_ROW_START = 24
"""Bytes of a row that stay as they are when values are added."""


class MetricsFile:
    """Write logged values to metrics.jsonl; they are out of the process as soon as they are appended.

    A step has one row. What is appended for the step of the last row is added to that row in place: only the end of the
    line is written anew, so a killed process loses nothing that was there. A line torn by a crash is cut off when the
    file is opened again, so that the next one does not join it.

    Args:
        path: The file; it is made when it does not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        cut_torn_line(self.path)
        self._line = last_line(self.path)

    def append(
        self, step: int, epoch: int, values: Mapping[str, float], signatures: Mapping[str, str] | None = None
    ) -> None:
        """Write the values of a step.

        Args:
            step: Optimiser steps done.
            epoch: The epoch that was running; the row keeps that of its first values.
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
        kept = b""
        if self._line and (last := json.loads(self._line))["step"] == step:
            row, kept = last, self._line
        made = {**row.pop(SIGNATURES, {}), **(signatures or {})}
        row |= encode_values(values)
        if made:
            row[SIGNATURES] = made
        line = json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"
        self._replace(kept, line)
        self._line = line

    def _replace(self, old: bytes, new: bytes) -> None:
        """Write a line in the place of the last one, from the first byte in which they differ."""
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
        length = os.fstat(self._file.fileno()).st_size
        position = length - len(old) + same
        if os.pwrite(self._file.fileno(), new[same:], position) == len(new) - same:
            if len(new) < len(old):
                self._file.truncate(position + len(new) - same)
            return
        os.pwrite(self._file.fileno(), old[same:], position)  # the disk was full in the middle of the line
        self._file.truncate(length)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def flush(self) -> tuple[int, str]:
        """Flush the file to disk; return its length in bytes without the last row, and that row."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size - len(self._line), self._line.decode("utf-8")

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
    """Read a metrics file as one row a step, without a torn last line; no file gives no rows.

    Earlier versions wrote several lines for a step: lines of one step that follow each other are joined.

    Raises:
        InputError: A line is not what was written; the message names it.
    """
    rows: list[dict[str, Any]] = []
    for line in read_lines(path):
        if rows and rows[-1]["step"] == line["step"]:
            rows[-1] |= {name: value for name, value in line.items() if name not in FIXED_COLUMNS}
        else:
            rows.append(line)
    return rows


def read_lines(path: Path | str) -> list[dict[str, Any]]:
    """Read all lines of a metrics file as they are, without a torn last one; no file gives no lines.

    Raises:
        InputError: A line is not what was written; the message names it.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    # What stands after the last line break was never finished.
    return [_parse(path, number, line) for number, line in enumerate(lines[:-1], start=1) if line]


class MetricsTail:
    """The rows of a metrics file that grows.

    Args:
        path: The file; it may not exist yet.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._position = 0
        self._last = b""

    def read(self) -> list[dict[str, Any]]:
        """Return the rows that are new or have more values than at the last call; all where the file was cut meanwhile.

        Raises:
            InputError: A row is not what was written.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                content = file.read()
                if self._last and not content.startswith(self._last[:_ROW_START]):  # a resumed run has cut the file
                    self._position, self._last = file.seek(0), b""
                    content = file.read()
        except FileNotFoundError:
            return []
        lines = content.split(b"\n")[:-1]
        if not lines or content == self._last:
            return []
        changed = lines if not self._last.startswith(lines[0] + b"\n") else lines[1:]
        self._last = lines[-1] + b"\n"
        self._position += sum(len(line) + 1 for line in lines[:-1])
        return [_parse(self.path, 0, line) for line in changed if line]


def cut(path: Path | str, size: int, last: str = "") -> None:
    """Keep the first `size` bytes of a metrics file, and put the row that came then after them.

    A file that is shorter stays as it is, which only a person's own editing can bring about; a warning says so.
    """
    path = Path(path)
    length = path.stat().st_size if path.exists() else 0
    row = last.encode("utf-8")
    if length < size + len(row):
        log.warning(
            "%s: rows are missing; it had %d bytes at the checkpoint and has %d now", path, size + len(row), length
        )
    elif length > size:
        with path.open("rb+") as file:
            file.seek(size)
            file.write(row)
            file.truncate()
            os.fsync(file.fileno())


def read_last(path: Path | str) -> dict[str, Any]:
    """Read the last whole row of a metrics file; an empty dict when there is none."""
    line = last_line(Path(path))
    return _parse(path, 0, line) if line else {}


def last_line(path: Path, tail: int = 1 << 16) -> bytes:
    """Read the last whole line within the last `tail` bytes of a file, with its line break."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - tail))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return b""
    whole = [line for line in lines[:-1] if line]
    return whole[-1] + b"\n" if whole else b""


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
