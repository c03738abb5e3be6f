"""Tab-separated values."""

from collections.abc import Iterator
from pathlib import Path

from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats.base import TextFormat, read_lines, read_table


class TabSeparated(TextFormat):
    """A header row and no quoting: a quotation mark is a character like any other."""

    suffixes = (".tsv",)

    def read(self, path: Path, layout: Layout) -> Iterator[Example]:
        """Read the rows below the header."""
        rows = ((number, line.rstrip("\r\n").split("\t")) for number, line in read_lines(path))
        return read_table(path, rows, layout)


FORMAT = TabSeparated()
