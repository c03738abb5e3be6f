"""Write metrics.jsonl: one row a step, appended once it is complete."""

import errno
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aigc.runs.console import log
from aigc.runs.files import write_atomic
from aigc.runs.metrics_file import FIXED_COLUMNS, SIGNATURES, cut_torn_line, encode_values, last_line, parse


class MetricsFile:
    """Write logged values to metrics.jsonl, one row a step.

    The row of a step is kept in memory until it is complete, which `end_row` says, or the first value of another step.
    Then it is appended by one write, so readers never see a part of it. A row that gets more values after it was
    written, as from a validation after the training, is replaced together with the whole file, atomically. A line torn
    by a crash is cut off when the file is opened again, so that the next one does not join it.

    Args:
        path: The file; it is made when it does not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        cut_torn_line(self.path)
        self._last = last_line(self.path)
        self._last_row: dict[str, Any] | None = None
        """What `_last` holds; None until it is needed."""
        self._row: dict[str, Any] | None = None
        self._replaces_last = False

    def append(
        self, step: int, epoch: int, values: Mapping[str, float], signatures: Mapping[str, str] | None = None
    ) -> None:
        """Add values to the row of their step.

        Args:
            step: Optimiser steps done.
            epoch: The epoch that was running; the row keeps that of its first values.
            values: Name to value; NaN and infinities are kept. A name of `FIXED_COLUMNS` or `SIGNATURES` is a
                ValueError.
            signatures: Name to how the value was made.

        Raises:
            OSError: The disk refuses the row of the step before; nothing has changed then.
        """
        taken = (*FIXED_COLUMNS, SIGNATURES)
        clash = set(taken).intersection(values)
        if clash:
            raise ValueError(f"a metric cannot be called {sorted(clash)[0]!r}: {', '.join(taken)} are columns")
        if self._row is not None and self._row["step"] != step:
            self.end_row()
        if self._row is None:
            if self._last_row is None:
                self._last_row = _load(self.path, self._last) if self._last else {}
            self._replaces_last = self._last_row.get("step") == step
            new: dict[str, Any] = {"step": int(step), "epoch": int(epoch), "wall_time": time.time()}
            self._row = dict(self._last_row) if self._replaces_last else new
        made = {**self._row.pop(SIGNATURES, {}), **(signatures or {})}
        self._row |= encode_values(values)
        if made:
            self._row[SIGNATURES] = made

    def resume(self, size: int, row: str = "") -> None:
        """Go back to what `flush` returned; the row of the step then can get more values.

        A file that is shorter stays as it is, which only a person's own editing can bring about; a warning says so.
        """
        length = self._size()
        if length < size:
            log.warning(
                "%s: rows are missing; it had %d bytes at the checkpoint and has %d now", self.path, size, length
            )
        elif length > size:
            self._replace_end(size, b"")
        self._last, self._last_row = last_line(self.path), None
        self._row = _load(self.path, row) if row else None
        self._replaces_last = False

    def end_row(self) -> None:
        """Write the row of the step, if there is one; values that come for it later are still added.

        Raises:
            OSError: The disk refuses; the file is then as it was.
        """
        if self._row is None:
            return
        line = _dump(self._row)
        if not self._replaces_last:
            self._write(line)
        elif line != self._last:
            self._replace_end(self._size() - len(self._last), line)
        self._last, self._last_row, self._row, self._replaces_last = line, self._row, None, False

    def flush(self) -> tuple[int, str]:
        """Flush the file to disk; return its length in bytes without the row of the last step, and that row."""
        os.fsync(self._file)
        written = len(self._last) if self._row is None or self._replaces_last else 0
        line = self._last if self._row is None else _dump(self._row)
        return self._size() - written, line.decode("utf-8")

    def close(self) -> None:
        """Write the row of the step, flush the file to disk and close it; closing twice does nothing."""
        if self._file >= 0:
            try:
                self.end_row()
                os.fsync(self._file)
            finally:
                os.close(self._file)
                self._file = -1

    def _write(self, line: bytes) -> None:
        length = self._size()
        if os.write(self._file, line) < len(line):  # the disk was full in the middle of the line
            os.ftruncate(self._file, length)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def _replace_end(self, size: int, end: bytes) -> None:
        """Replace what follows the first `size` bytes; a reader sees the file as it was or as it is then."""
        with self.path.open("rb") as file:
            write_atomic(self.path, file.read(size) + end)
        os.close(self._file)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)

    def _size(self) -> int:
        return os.fstat(self._file).st_size

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _dump(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"


def _load(path: Path, line: bytes | str) -> dict[str, Any]:
    """Read a row as it stands in the file, with its signatures and encoded values."""
    parse(path, 0, line)
    row: dict[str, Any] = json.loads(line)
    return row
