"""Text files with one text per line, in UTF-8."""

import json
import sys
from pathlib import Path
from typing import Any

from aigc.errors import InputError
from aigc.files.text import decode_text, opened

STDIN = "-"


def read_lines(file: str) -> list[str]:
    """Read the lines of a file, of a compressed `.gz` file, or of stdin for `-`; an empty file has none.

    Raises:
        InputError: The file cannot be read, is not a complete gzip file, or is not UTF-8.
    """
    return split_lines(_read(file), "stdin" if file == STDIN else file)


def split_lines(data: bytes, source: str) -> list[str]:
    r"""Split into lines as a text editor does: only \n, \r\n and a lone \r end a line; a byte order mark is dropped.

    Raises:
        InputError: Not UTF-8; the message names `source` and the line.
    """
    text = decode_text(data, source)
    # `splitlines` would also cut at U+2028 and form feeds.
    return text.removesuffix("\n").split("\n") if text else []


def read_objects(file: str) -> list[dict[str, Any]]:
    """Read the JSON objects of a file, one a line, but for blank lines; `-` is stdin.

    Raises:
        InputError: As `read_lines`, a line is no object, or there is none; the message names file and line.
    """
    source = "stdin" if file == STDIN else file
    objects = []
    for number, line in enumerate(read_lines(file), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{source}, line {number}: not JSON: {error}") from error
        if not isinstance(found, dict):
            raise InputError(f'{source}, line {number}: expected an object, as {{"prompt": "..."}}')
        objects.append(found)
    if not objects:
        raise InputError(f'{source}: there are no rows; expected an object a line, as {{"prompt": "..."}}')
    return objects


def stdin_bytes() -> bytes:
    """Read all of stdin; empty where there is no stdin."""
    return b"" if sys.stdin is None else sys.stdin.buffer.read()


def _read(file: str) -> bytes:
    if file == STDIN:
        return stdin_bytes()
    with opened(Path(file)) as opened_file:
        return opened_file.read()
