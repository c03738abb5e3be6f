"""JSON lines."""

from collections.abc import Iterator
from pathlib import Path

from aigc.data.text import json_rows
from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats.base import TextFormat, read_rows


class JSONLines(TextFormat):
    """An object a line; blank lines count as empty examples."""

    suffixes = (".jsonl", ".ndjson")

    def columns(self, path: Path) -> list[str] | None:
        """Return the keys of the first object."""
        return next((list(row) for _, row in json_rows.lines(path, ()) if row), None)

    def read(self, path: Path, layout: Layout) -> Iterator[Example]:
        """Read the objects."""
        return read_rows(json_rows.lines(path, layout.columns), layout)


FORMAT = JSONLines()
