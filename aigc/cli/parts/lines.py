"""Text files with one text per line, in UTF-8."""

import gzip
import sys
import zlib
from pathlib import Path

from aigc.errors import InputError

STDIN = "-"


def read_lines(file: str) -> list[str]:
    """Read the lines of a file, of a compressed `.gz` file, or of stdin for `-`; an empty file has none.

    Raises:
        InputError: The file cannot be read, is not a complete gzip file, or is not UTF-8.
    """
    return split_lines(_read(file), "stdin" if file == STDIN else file)


def split_lines(data: bytes, source: str) -> list[str]:
    r"""Split into lines as a text editor does: only \n and \r\n end a line, and a byte order mark is dropped.

    Raises:
        InputError: Not UTF-8; the message names `source` and the line.
    """
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{source}, line {line}: not UTF-8 at byte {error.start}; "
            "save it as UTF-8 (from GBK: iconv -f GB18030 -t UTF-8 OLD > NEW)"
        ) from error
    # `splitlines` would also cut at U+2028 and form feeds.
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def stdin_bytes() -> bytes:
    """Read all of stdin; empty where there is no stdin."""
    return b"" if sys.stdin is None else sys.stdin.buffer.read()


def _read(file: str) -> bytes:
    if file == STDIN:
        return stdin_bytes()
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error
    if not file.endswith(".gz"):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file}: not a complete gzip file: {error}") from error
