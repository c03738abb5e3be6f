"""Parquet files."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats.base import TextFormat, check_header, pick, without_nulls
from aigc.errors import InputError
from aigc.files.kinds import HEAD, kind_of
from aigc.files.text import UnreadableTextError, opened

_MAGIC = b"PAR1"


class Parquet(TextFormat):
    """A table in columns, read batch by batch; a packed one is held in memory."""

    suffixes = (".parquet",)

    def columns(self, path: Path) -> list[str] | None:
        """Return the names in the schema."""
        with _table(path) as file:
            return list(file.schema_arrow.names)

    def read(self, path: Path, layout: Layout) -> Iterator[Example]:
        """Read the rows."""
        with _table(path) as file:
            names = file.schema_arrow.names
            check_header(names, layout, str(path))
            number = 0
            for batch in file.iter_batches(columns=layout.present(names)):
                for row in batch.to_pylist():
                    number += 1
                    yield layout.example(without_nulls(pick(row, layout, f"{path}, row {number}")))


@contextmanager
def _table(path: Path) -> Iterator[Any]:
    """Open a file."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        with pq.ParquetFile(_checked(path)) as file:
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"{path}: not a whole parquet file: {reason}. Copy or download it again.") from error


def _checked(path: Path) -> Path | io.BytesIO:
    """Return what to read a parquet file from."""
    with opened(path) as file:
        head = file.peek(HEAD)[:HEAD]
        if not head.startswith(_MAGIC) and (kind := kind_of(head)):
            raise UnreadableTextError(str(path), str(kind))
        return io.BytesIO(file.read()) if path.suffix.lower() != ".parquet" else path


FORMAT = Parquet()
