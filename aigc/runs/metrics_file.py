"""Read metrics.jsonl: one line of JSON per logged step, with all its values."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aigc.errors import InputError

FIXED_COLUMNS = ("step", "epoch", "wall_time")
SIGNATURES = "signatures"
"""The key of a line under which it says how its values were made; `read` gives the numbers alone."""
_ROW_START = 24
"""Bytes of a row that stay as they are when values are added."""


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
    return [parse(path, number, line) for number, line in enumerate(lines[:-1], start=1) if line]


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
        return [parse(self.path, 0, line) for line in changed if line]


def read_last(path: Path | str) -> dict[str, Any]:
    """Read the last whole row of a metrics file; an empty dict when there is none.

    Raises:
        InputError: The row is not what was written.
    """
    line = last_line(Path(path))
    return parse(path, 0, line) if line else {}


def last_line(path: Path, tail: int = 1 << 16) -> bytes:
    """Read the last whole line of a file, with its line break; look for it in the last `tail` bytes first."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            while True:
                begin = file.seek(max(0, end - tail))
                lines = file.read(end - begin).split(b"\n")
                whole = [line for line in lines[begin > 0 : -1] if line]
                if whole or begin == 0:
                    return whole[-1] + b"\n" if whole else b""
                tail *= 4
    except FileNotFoundError:
        return b""


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


def parse(path: Path | str, number: int, line: bytes | str) -> dict[str, Any]:
    """Parse a row into its columns and numbers, without its signatures.

    Args:
        path: The file that it is from, for the message.
        number: The number of its line; 0 is one at the end.
        line: The row.

    Raises:
        InputError: It is not what was written.
    """
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
