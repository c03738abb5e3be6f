"""What formats of text files share: values of columns, rows below a header."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aigc.data.hints import did_you_mean
from aigc.data.text.examples import Example, Layout
from aigc.data.text.json_rows import Located, type_name
from aigc.errors import InputError
from aigc.files.text import read_lines, text_kind
from aigc.printing import plural

__all__ = ["TextFormat", "check_header", "pick", "read_lines", "read_rows", "read_table", "without_nulls"]

_SEPARATORS = {"\t": "tabs", ";": ";", "|": "|", ",": ",", "，": "，", "；": "；"}
"""What may stand between the fields of a table, and how a message calls it."""


class TextFormat(ABC):
    """A format of text files.

    Attributes:
        suffixes: What the names of such files end in, in lower case; `.gz` may follow.
        has_columns: Whether examples stand in named columns.
    """

    suffixes: tuple[str, ...]
    has_columns: bool = True

    def columns(self, path: Path) -> list[str] | None:
        """Return the columns of a file, of JSON those of its first row; None where it has none, or no row.

        Raises:
            InputError: The file cannot be read or is malformed.
        """
        return None

    @abstractmethod
    def read(self, path: Path, layout: Layout) -> Iterator[Example]:
        """Read the examples of a file in order; empty ones are examples, too.

        `read_lines` unpacks a file whose name ends in .gz.

        Raises:
            InputError: The file cannot be read or is malformed, a column is missing, or a text is not a string.
        """


def pick(row: Mapping[str, object], layout: Layout, where: str) -> list[Any]:
    """The values that stand in the columns of a layout; a text that is null, or the NaN that pandas writes, is empty.

    Args:
        row: Values by column.
        layout: Its text columns hold strings; the further ones may hold anything.
        where: Where the row stands, for messages.

    Raises:
        InputError: A column is missing, or a text is not a string.
    """
    for column in layout.columns:
        if column not in row:
            raise missing_column(column, list(row), where, layout)
    texts = len(layout.texts)
    values: list[Any] = ["" if is_null(row[column]) else row[column] for column in layout.texts]
    for column, value in zip(layout.texts, values, strict=True):
        if not isinstance(value, str):
            raise InputError(
                f"{where}: column '{column}' holds {type_name(value)} where a string is needed. "
                "Correct or drop the row."
            )
    return values + [row[column] for column in layout.columns[texts:]] + [row.get(one) for one in layout.optional]


def without_nulls(values: Any, inside: bool = False) -> Any:
    """Return values of a table in columns without keys that only other rows have: null in objects inside of objects.

    A column has one schema, so that an object has the keys of all others there.
    """
    if isinstance(values, list):
        return [without_nulls(one, inside) for one in values]
    if isinstance(values, Mapping):
        return {key: without_nulls(one, True) for key, one in values.items() if one is not None or not inside}
    return values


def is_null(value: object) -> bool:
    """Return whether a cell holds null, or the NaN that pandas writes for it."""
    return value is None or (isinstance(value, float) and value != value)


def read_rows(rows: Iterable[Located], layout: Layout) -> Iterator[Example]:
    """Read the examples of JSON objects; None is an empty one."""
    for where, row in rows:
        if row is None:
            yield Example("")
            continue
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


def missing_column(column: str, known: Sequence[str], where: str, layout: Layout) -> InputError:
    """The error for a column that is not there."""
    named_by = "data.text_column, or data.prompt_column and data.completion_column"
    if column in layout.further:
        named_by = "data.objective, or choose another data.format"
    names = ", ".join(name if name.isprintable() else ascii(name) for name in known)
    return InputError(
        f"{where}: no column '{column}'; columns: {names or 'none'}.{did_you_mean(column, known)} "
        f"Name it with {named_by}."
    )


def check_header(header: Sequence[str], layout: Layout, where: str) -> None:
    """Check that the columns of a layout are there, once each.

    Raises:
        InputError: One is missing or repeated.
    """
    for column in (*layout.columns, *layout.optional):
        if column not in header and column not in layout.optional:
            raise missing_column(column, header, where, layout)
        if header.count(column) > 1:
            what = (
                f"the column '{column}' is there {plural(header.count(column), 'time')}; columns: {', '.join(header)}."
            )
            raise InputError(f"{where}: {what} Rename all but the one that you mean.")


def read_table(path: Path, rows: Iterator[tuple[int, list[str]]], layout: Layout) -> Iterator[Example]:
    """Read the examples of numbered rows whose first is the header."""
    _, header = next(rows, (1, []))
    if set(layout.columns) - set(header):
        check_separator(path, header, layout)
    check_header(header, layout, f"{path}, line 1")
    wanted = [header.index(column) if column in header else None for column in (*layout.columns, *layout.optional)]
    for number, row in rows:
        if row in ([], [""]):
            yield Example("")
        elif len(row) != len(header):
            what = f"{len(row)} fields where the header has {len(header)}: {header}."
            quoted = any(field.startswith('"') or field.endswith('"') for field in row)
            hint = " Fields in quotation marks are read in .csv files, with commas." if quoted else ""
            raise InputError(f"{path}, line {number}: {what}{hint}")
        else:
            yield layout.example([None if i is None else row[i] for i in wanted])


def check_separator(path: Path, header: Sequence[str], layout: Layout) -> None:
    """Check that a header without the columns is one of a table with these separators."""
    if kind := text_kind(path):
        raise InputError(f"{path}: {kind}")
    for field in header:
        used = max(_SEPARATORS, key=field.count)
        names = [name.strip(' "') for name in field.split(used)]
        if len(names) > 1 and (len(header) == 1 or set(names) & set(layout.columns)):
            what = f"the fields seem to be separated by {_SEPARATORS[used]}, in the header {field!r}"
            raise InputError(f"{path}, line 1: {what}. Save the table with commas as .csv, or with tabs as .tsv.")
