"""Readers of text files: each takes one file and gives its examples, line by line."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from aigc.data.hints import did_you_mean
from aigc.data.text.examples import Example, Layout
from aigc.errors import InputError

_JSON_TYPES = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}
_LONGEST_CSV_FIELD = 2**31 - 1


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file with their numbers from 1; line ends are kept, a byte order mark is not.

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


def pick(row: Mapping[str, object], columns: Sequence[str], place: str) -> list[str]:
    """The strings that stand in `columns` of a row.

    Args:
        row: Values by column.
        columns: The columns wanted.
        place: Where the row stands, for messages.

    Raises:
        InputError: A column is missing, or its value is not a string.
    """
    values = []
    for column in columns:
        if column not in row:
            raise missing_column(column, list(row), place)
        value = row[column]
        if not isinstance(value, str):
            kind = _JSON_TYPES.get(type(value), type(value).__name__)
            raise InputError(
                f"{place}: column '{column}' holds {kind} where a string is needed. Correct or drop the row."
            )
        values.append(value)
    return values


def missing_column(column: str, known: Sequence[str], place: str) -> InputError:
    """The error for a column that is not there."""
    return InputError(
        f"{place}: no column '{column}'; columns: {', '.join(known) or 'none'}.{did_you_mean(column, known)} "
        "Name it with data.text_column, or data.prompt_column and data.completion_column."
    )


def read_txt(path: Path, layout: Layout) -> Iterator[Example]:
    """Plain text: an example for each line, each paragraph (blank lines between) or the whole file."""
    lines = (line for _, line in read_lines(path))
    if layout.document == "line":
        return (Example(line.rstrip("\r\n")) for line in lines)
    if layout.document == "paragraph":
        return _paragraphs(lines)
    return iter([Example("".join(line.replace("\r\n", "\n") for line in lines))])


def _paragraphs(lines: Iterable[str]) -> Iterator[Example]:
    """Lines joined up to the next blank one."""
    paragraph: list[str] = []
    for line in lines:
        if line.strip():
            paragraph.append(line.rstrip("\r\n"))
        elif paragraph:
            yield Example("\n".join(paragraph))
            paragraph = []
    if paragraph:
        yield Example("\n".join(paragraph))


def read_jsonl(path: Path, layout: Layout) -> Iterator[Example]:
    """JSON lines: an object a line; blank lines count as empty examples."""
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        if not line.strip():
            yield Example("")
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            column, reason = getattr(error, "colno", 1), getattr(error, "msg", str(error))
            raise InputError(
                f"{place}, column {column}: not JSON: {reason}. A .jsonl file holds one object a line."
            ) from error
        if not isinstance(row, dict):
            kind = _JSON_TYPES.get(type(row), "a string")
            raise InputError(f'{place}: {kind} where an object is needed, like {{"{layout.columns[0]}": "..."}}.')
        values = pick(row, layout.columns, place)
        _check_surrogates(values, place)
        yield layout.example(values)


def _check_surrogates(values: Iterable[str], place: str) -> None:
    """JSON can spell half a character (a surrogate without its partner), which no UTF-8 text can hold."""
    for value in values:
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            code = ord(value[error.start])
            raise InputError(f"{place}: \\u{code:04x} is half of a surrogate pair, not a character.") from error


def read_csv(path: Path, layout: Layout) -> Iterator[Example]:
    """Comma-separated values with a header row, quoted as in RFC 4180."""
    csv.field_size_limit(_LONGEST_CSV_FIELD)
    rows = csv.reader((line for _, line in read_lines(path)), strict=True)

    def numbered() -> Iterator[tuple[int, list[str]]]:
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                raise InputError(f"{path}, line {rows.line_num}: not CSV: {error}.") from error
            yield rows.line_num, row

    return _table(path, numbered(), layout)


def read_tsv(path: Path, layout: Layout) -> Iterator[Example]:
    """Tab-separated values with a header row and no quoting: a quotation mark is a character like any other."""
    return _table(path, ((number, line.rstrip("\r\n").split("\t")) for number, line in read_lines(path)), layout)


def _table(path: Path, rows: Iterator[tuple[int, list[str]]], layout: Layout) -> Iterator[Example]:
    """Examples of numbered rows whose first is the header."""
    _, header = next(rows, (1, []))
    for column in layout.columns:
        if column not in header:
            raise missing_column(column, header, f"{path}, line 1")
    wanted = [header.index(column) for column in layout.columns]
    for number, row in rows:
        if row in ([], [""]):
            yield Example("")
        elif len(row) != len(header):
            raise InputError(f"{path}, line {number}: {len(row)} fields where the header has {len(header)}: {header}.")
        else:
            yield layout.example([row[i] for i in wanted])


def read_parquet(path: Path, layout: Layout) -> Iterator[Example]:
    """A parquet file, batch by batch."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        with pq.ParquetFile(path) as file:
            for column in layout.columns:
                if column not in file.schema_arrow.names:
                    raise missing_column(column, file.schema_arrow.names, str(path))
            number = 0
            for batch in file.iter_batches(columns=list(layout.columns)):
                for row in batch.to_pylist():
                    number += 1
                    yield layout.example(pick(row, layout.columns, f"{path}, row {number}"))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"{path}: not a whole parquet file: {reason}. Copy or download it again.") from error


READERS: dict[str, Callable[[Path, Layout], Iterator[Example]]] = {
    ".txt": read_txt,
    ".jsonl": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}
