"""Rows of JSON files: objects, one a line, in an array, or in a list inside an object."""

import json
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aigc.data.progress import log_once
from aigc.errors import InputError
from aigc.files.text import opened, read_lines, read_text, text_kind

_FIRST = 1 << 16
"""Bytes in which the first object of an array is looked for."""
_SPACE = re.compile(r"[ \t\r\n]*")
Located = tuple[str, dict[str, Any] | None]
"""Where a row stands, for messages, and the row; None for a blank line."""

_LONG_NUMBER = re.compile(rf"\d{{{sys.get_int_max_str_digits() + 1},}}")
_HINT = "A .jsonl file holds one object a line; name {} .json."

_TYPES = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


class _Repeating(dict[str, Any]):
    """An object that names some of its keys several times."""

    repeated: frozenset[str] = frozenset()


def lines(path: Path, columns: Sequence[str]) -> Iterator[Located]:
    """Yield the rows of a .jsonl file, which has an object a line.

    Args:
        path: The file.
        columns: Those that are read, which no row may have twice.

    Raises:
        InputError: It cannot be read, or a line is not an object.
    """
    for number, line in read_lines(path):
        where = f"{path}, line {number}"
        if not line.strip():
            yield where, None
            continue
        try:
            value = _DECODER.decode(line.rstrip())
        except (ValueError, RecursionError) as error:
            column, what = _wrong(error, line, 0)[1:]
            raise InputError(f"{where}, column {column}: {what} {_hint(line)}{_kind(path)}") from error
        yield where, _row(value, where, columns, f" {_hint(line)}" if isinstance(value, list) else "")


def whole(path: Path, columns: Sequence[str]) -> Iterator[Located]:
    """Yield the rows of a .json file: an array of objects, objects one after the other, or an object with a list in it.

    An object that holds all columns as lists of one length is a table by columns. The file is held in memory.

    Args:
        path: The file.
        columns: Those that are read, which no row may have twice.

    Raises:
        InputError: It cannot be read, or holds something else.
    """
    values = _values(path)
    if len(values) == 1 and isinstance(values[0][1], list):
        listed = values[0][1]
        rows: Iterator[tuple[str, Any]] = ((f"{path}, item {number}", one) for number, one in enumerate(listed, 1))
    elif len(values) == 1 and isinstance(values[0][1], dict):
        rows = _inside(path, values[0][1], columns)
    else:
        rows = ((f"{path}, line {line}", one) for line, one in values)
    for where, value in rows:
        yield where, _row(value, where, columns)


def first_keys(path: Path) -> list[str] | None:
    """Return the keys of the first row of a .json file, or of a table by columns; only the beginning is read if it can.

    Raises:
        InputError: It cannot be read.
    """
    with opened(path) as file:
        head = file.read(_FIRST).decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    if head.startswith("["):
        with suppress(ValueError, RecursionError):  # a longer object, or none
            value, _ = _DECODER.raw_decode(head, _next(head, 1))
            return list(value) if isinstance(value, dict) else None
    values = _values(path)
    value = values[0][1] if values else None
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return None
    lists = [one for one in value.values() if isinstance(one, list) and one and isinstance(one[0], dict)]
    return list(lists[0][0]) if len(lists) == 1 and len(values) == 1 else list(value)


def _values(path: Path) -> list[tuple[int, Any]]:
    """The values of a file, one after the other, with the lines that they begin in."""
    text = read_text(path)
    found: list[tuple[int, Any]] = []
    line, done, at = 1, 0, _next(text, 0)
    while at < len(text):
        line, done = line + text.count("\n", done, at), at
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            line, column, what = _wrong(error, text, at)
            raise InputError(f"{path}, line {line}, column {column}: {what}{_kind(path)}") from error
        found.append((line, value))
        at = _next(text, end)
    return found


def _wrong(error: Exception, text: str, begin: int) -> tuple[int, int, str]:
    """Return line, column and reason of what is not JSON after an index."""
    at, reason = begin, f"not JSON: {error}."
    if isinstance(error, json.JSONDecodeError):
        at, reason = error.pos, f"not JSON: {error.msg}."
    elif number := _LONG_NUMBER.search(text, begin):
        at = number.start()
        reason = f"a number of {len(number[0]):,} digits, which is too long to read; write it as a string, in quotes."
    return 1 + text.count("\n", 0, at), at - text.rfind("\n", 0, at), reason


def _hint(line: str) -> str:
    """Return what a .jsonl file holds, and how to name one whose first line is this."""
    return _HINT.format("an array of objects" if line.lstrip().startswith("[") else "another JSON file")


def _next(text: str, at: int) -> int:
    """The next index that is no white space."""
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _inside(path: Path, value: dict[str, Any], columns: Collection[str]) -> Iterator[tuple[str, Any]]:
    """The rows of a file that holds one object: a table by columns, a list of objects in it, or itself.

    Of several lists, it is the one whose first object has all columns.
    """
    table = {column: _cells(value.get(column)) for column in columns}
    cells = [one for one in table.values() if one is not None]
    if columns and len(cells) == len(table) and len({len(one) for one in cells}) == 1:
        for number, row in enumerate(zip(*cells, strict=True), 1):
            yield f"{path}, row {number}", dict(zip(table, row, strict=True))
        return
    is_row = all(isinstance(value.get(column), str) for column in columns)
    lists = [key for key, one in value.items() if isinstance(one, list) and one and isinstance(one[0], dict)]
    if len(fitting := [key for key in lists if value[key][0].keys() >= set(columns)]) == 1:
        lists = fitting
    if is_row or not lists:
        yield f"{path}, line 1", value
        return
    if len(lists) > 1:
        have = f"{', '.join(fitting)} have" if fitting else "none has"
        what = (
            f"several lists of objects are in it: {', '.join(lists)}, of which {have} the columns {', '.join(columns)}."
        )
        what += " Save the one that you mean as a file of its own."
        raise InputError(f"{path}: {what}")
    log_once(f"{path}: the rows are those of the list {lists[0]!r} in it")
    for number, one in enumerate(value[lists[0]], 1):
        yield f"{path}, {lists[0]!r}, item {number}", one


def _cells(value: object) -> list[Any] | None:
    """The cells of a column: a list of single values, or an object of them by row numbers, as pandas writes it."""
    cells = list(value.values()) if isinstance(value, dict) else value
    return cells if isinstance(cells, list) and not any(isinstance(one, dict | list) for one in cells) else None


def _row(value: object, where: str, columns: Sequence[str], hint: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        like = f', like {{"{columns[0]}": "..."}}' if columns else ""
        raise InputError(f"{where}: {type_name(value)} where an object is needed{like}.{hint}")
    if isinstance(value, _Repeating) and (twice := [one for one in columns if one in value.repeated]):
        raise InputError(f"{where}: {twice[0]!r} is there several times, and which one is meant is not clear.")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that remembers which of its keys were repeated."""
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    names = [name for name, _ in pairs]
    repeating = _Repeating(made)
    repeating.repeated = frozenset(name for name in made if names.count(name) > 1)
    return repeating


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def type_name(value: object) -> str:
    """What a person calls the type of a value."""
    kind = dict if isinstance(value, dict) else type(value)
    return _TYPES.get(kind, kind.__name__)


def _kind(path: Path) -> str:
    """What the file is instead, for the end of a message."""
    kind = text_kind(path)
    return f" It is {kind}" if kind else ""
