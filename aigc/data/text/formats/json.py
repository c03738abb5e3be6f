"""JSON: an array of objects, objects one after the other, or an object with a list in it."""

from collections.abc import Iterator
from pathlib import Path

from aigc.data.text import json_rows
from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats.base import TextFormat, read_rows


class JSONArray(TextFormat):
    """Objects in one value or several, in any layout; the file is held in memory."""

    suffixes = (".json",)

    def columns(self, path: Path) -> list[str] | None:
        """Return the keys of the first object, or of an object that is a table by columns."""
        return json_rows.first_keys(path)

    def read(self, path: Path, layout: Layout) -> Iterator[Example]:
        """Read the objects."""
        return read_rows(json_rows.whole(path, layout.columns), layout)


FORMAT = JSONArray()
