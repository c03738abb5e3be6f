"""Parquet files."""

from collections.abc import Iterator
from pathlib import Path

from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats.base import TextFormat, missing_column, pick
from aigc.errors import InputError


class Parquet(TextFormat):
    """A table in columns, read batch by batch."""

    suffixes = (".parquet",)

    def read(self, path: Path, layout: Layout) -> Iterator[Example]:
        """Read the rows."""
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        try:
            with pq.ParquetFile(path) as file:
                for column in layout.columns:
                    if column not in file.schema_arrow.names:
                        raise missing_column(column, file.schema_arrow.names, str(path), layout)
                number = 0
                for batch in file.iter_batches(columns=list(layout.columns)):
                    for row in batch.to_pylist():
                        number += 1
                        yield layout.example(pick(row, layout, f"{path}, row {number}"))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise InputError(f"{path}: not a whole parquet file: {reason}. Copy or download it again.") from error


FORMAT = Parquet()
