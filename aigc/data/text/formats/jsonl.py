"""JSON lines."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats.base import TextFormat, pick, read_lines, type_name
from aigc.errors import InputError


class JSONLines(TextFormat):
    """An object a line; blank lines count as empty examples."""

    suffixes = (".jsonl",)

    def read(self, path: Path, layout: Layout) -> Iterator[Example]:
        """Read the objects."""
        for number, line in read_lines(path):
            where = f"{path}, line {number}"
            if not line.strip():
                yield Example("")
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                column, reason = getattr(error, "colno", 1), getattr(error, "msg", str(error))
                raise InputError(
                    f"{where}, column {column}: not JSON: {reason}. A .jsonl file holds one object a line."
                ) from error
            if not isinstance(row, dict):
                what = f'{type_name(row)} where an object is needed, like {{"{layout.columns[0]}": "..."}}'
                raise InputError(f"{where}: {what}.")
            values = pick(row, layout, where)
            _check_surrogates((value for value in values if isinstance(value, str)), where)
            yield layout.example(values)


def _check_surrogates(values: Iterable[str], where: str) -> None:
    """JSON can spell half a character (a surrogate without its partner), which no UTF-8 text can hold."""
    for value in values:
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            code = ord(value[error.start])
            raise InputError(f"{where}: \\u{code:04x} is half of a surrogate pair, not a character.") from error


FORMAT = JSONLines()
