"""Comma-separated values."""

import csv
from collections.abc import Iterator
from pathlib import Path

from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats.base import TextFormat, check_separator, read_lines, read_table
from aigc.errors import InputError

_LONGEST_FIELD = 2**31 - 1


class CommaSeparated(TextFormat):
    """A header row, and fields quoted as in RFC 4180."""

    suffixes = (".csv",)

    def columns(self, path: Path) -> list[str] | None:
        """Return the header."""
        return next(_rows(path, Layout()), (1, None))[1]

    def read(self, path: Path, layout: Layout) -> Iterator[Example]:
        """Read the rows below the header."""
        return read_table(path, _rows(path, layout), layout)


def _rows(path: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """The rows with the numbers of the lines that they end in."""
    csv.field_size_limit(_LONGEST_FIELD)
    rows = csv.reader((line for _, line in read_lines(path)), strict=True)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            if rows.line_num == 1:
                _, header = next(read_lines(path))
                check_separator(path, header.rstrip("\r\n").split(","), layout)
            raise InputError(f"{path}, line {rows.line_num}: not CSV: {error}.") from error
        yield rows.line_num, row


FORMAT = CommaSeparated()
