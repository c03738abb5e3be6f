"""What formats of text files share: lines with their numbers, values of columns, rows below a header."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aigc.data.hints import did_you_mean
from aigc.data.text.examples import Example, Layout
from aigc.errors import InputError

_JSON_TYPES = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


class TextFormat(ABC):
    """A format of text files.

    Attributes:
        suffixes: What the names of such files end in, in lower case.
        has_columns: Whether examples stand in named columns.
    """

    suffixes: tuple[str, ...]
    has_columns: bool = True

    @abstractmethod
    def read(self, path: Path, layout: Layout) -> Iterator[Example]:
        """Read the examples of a file in order; empty ones are examples, too.

        Raises:
            InputError: The file cannot be read or is malformed, a column is missing, or a text is not a string.
        """


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Read the lines of a UTF-8 file with their numbers from 1; line ends are kept, a byte order mark is not.

    Raises:
        InputError: The file cannot be opened, or a byte is not UTF-8.
    """
    offset = 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    line = raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise InputError(
                        f"{path}, line {number}: not UTF-8: byte 0x{raw[error.start]:02X} at offset "
                        f"{offset + error.start}. Save it as UTF-8 (from GBK: iconv -f GB18030 -t UTF-8 OLD > NEW)."
                    ) from error
                offset += len(raw)
                yield number, line.removeprefix("\ufeff") if number == 1 else line
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from error


def pick(row: Mapping[str, object], layout: Layout, where: str) -> list[Any]:
    """The values that stand in the columns of a layout.

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
    for column in layout.texts:
        if not isinstance(row[column], str):
            raise InputError(
                f"{where}: column '{column}' holds {type_name(row[column])} where a string is needed. "
                "Correct or drop the row."
            )
    return [row[column] for column in layout.columns]


def type_name(value: object) -> str:
    """What a person calls the type of a value."""
    return _JSON_TYPES.get(type(value), type(value).__name__)


def missing_column(column: str, known: Sequence[str], where: str, layout: Layout) -> InputError:
    """The error for a column that is not there."""
    named_by = "data.text_column, or data.prompt_column and data.completion_column"
    if column in layout.further:
        named_by = "data.objective"
    return InputError(
        f"{where}: no column '{column}'; columns: {', '.join(known) or 'none'}.{did_you_mean(column, known)} "
        f"Name it with {named_by}."
    )


def read_table(path: Path, rows: Iterator[tuple[int, list[str]]], layout: Layout) -> Iterator[Example]:
    """Read the examples of numbered rows whose first is the header."""
    _, header = next(rows, (1, []))
    for column in layout.columns:
        if column not in header:
            raise missing_column(column, header, f"{path}, line 1", layout)
    wanted = [header.index(column) for column in layout.columns]
    for number, row in rows:
        if row in ([], [""]):
            yield Example("")
        elif len(row) != len(header):
            raise InputError(f"{path}, line {number}: {len(row)} fields where the header has {len(header)}: {header}.")
        else:
            yield layout.example([row[i] for i in wanted])
