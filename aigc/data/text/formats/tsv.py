"""Tab-separated values."""

import logging
from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path

from aigc.data.progress import log_once
from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats.base import TextFormat, read_lines, read_table

_LOOKED_AT = 100
"""Rows in which quotation marks around fields are looked for."""


class TabSeparated(TextFormat):
    """A header row and no quoting: a quotation mark is a character like any other."""

    suffixes = (".tsv",)

    def columns(self, path: Path) -> list[str] | None:
        """Return the header."""
        return next((line.rstrip("\r\n").split("\t") for _, line in read_lines(path)), None)

    def read(self, path: Path, layout: Layout) -> Iterator[Example]:
        """Read the rows below the header."""
        rows = ((number, line.rstrip("\r\n").split("\t")) for number, line in read_lines(path))
        first = list(islice(rows, 1 + _LOOKED_AT))
        if any(map(_is_quoted, zip_longest(*(row for _, row in first[1:]), fillvalue=""))):
            what = "fields are in quotation marks, which belong to the text in a .tsv file"
            log_once(f"{path}: {what}. Save it as .csv, with commas, to have them taken off.", logging.WARNING)
        return read_table(path, chain(first, rows), layout)


def _is_quoted(column: Sequence[str]) -> bool:
    """Whether most fields of a column are in quotation marks."""
    fields = [field for field in column if field]
    return 2 * sum(len(field) > 1 and field[0] == field[-1] == '"' for field in fields) > len(fields)


FORMAT = TabSeparated()
