"""Reading text that a person wrote: UTF-8, with or without a byte order mark, packed with gzip where the name says so.

A file ends its lines with LF or CR LF, or with CR alone if it has no LF at its beginning.
"""

import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aigc.errors import InputError
from aigc.files.encodings import advice
from aigc.files.kinds import HEAD, Kind, kind_of

PACKED = ".gz"
_MARK = b"\xef\xbb\xbf"
_BUFFER = 1 << 16
"""Bytes in which the first line end is looked for."""
_FEW = 3
"""Lines beyond ASCII that are UTF-8 by chance, as short ones in another encoding may be."""


class UnreadableTextError(InputError):
    """A file that cannot be read as text.

    Attributes:
        name: The file.
        line: The line that is wrong, from 1; None where it is not about one.
        what: What is wrong, and what to do.
    """

    def __init__(self, name: str, what: str, line: int | None = None) -> None:
        self.name, self.what, self.line = name, what, line
        super().__init__(f"{name}{f', line {line}' if line else ''}: {what}")


def read_text(path: Path) -> str:
    """Read a whole file; each line ends with a newline character alone.

    Raises:
        UnreadableTextError: It cannot be opened, is not UTF-8, is of another kind, or has a NUL byte.
    """
    return "".join(line for _, line in read_lines(path)).replace("\r\n", "\n")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield the lines of a file with their numbers from 1; line ends are kept, a CR alone as \n.

    Raises:
        UnreadableTextError: As `read_text`.
    """
    with opened(path) as file:
        check_text(file.peek(HEAD), str(path))
        for number, line in decode_lines(file, str(path)):
            if "\0" in line:
                what = "holds a NUL byte, as files of other kinds do and text does not. Is it the right file? If it is"
                raise UnreadableTextError(str(path), f"{what}, take them out: tr -d '\\000' < OLD > NEW.", number)
            yield number, line


def decode_text(data: bytes, name: str) -> str:
    """Return the text of bytes that were read; each line ends with a newline character alone.

    Args:
        data: All bytes.
        name: Where they come from, for messages.

    Raises:
        UnreadableTextError: They are not UTF-8, or a file of another kind.
    """
    check_text(data, name)
    file = io.BufferedReader(io.BytesIO(data), _BUFFER)
    return "".join(line for _, line in decode_lines(file, name)).replace("\r\n", "\n")


@contextmanager
def opened(path: Path) -> Iterator["io.BufferedReader[Any]"]:
    """Open a file to read bytes, unpacked where its name ends in .gz; what fails in the block is one error.

    Raises:
        UnreadableTextError: It cannot be opened or read, or is not a whole gzip file.
    """
    packed = path.name.lower().endswith(PACKED)
    try:
        with io.BufferedReader(path.open("rb", buffering=0), _BUFFER) as file:
            if not packed:
                yield file
                return
            import gzip

            with io.BufferedReader(gzip.GzipFile(fileobj=file), _BUFFER) as unpacked:
                yield unpacked
    except (EOFError, zlib.error) as error:
        raise UnreadableTextError(str(path), f"not a whole gzip file: {error}. Copy or download it again.") from error
    except OSError as error:
        if error.errno is None:  # gzip.BadGzipFile
            raise UnreadableTextError(str(path), f"not a gzip file, as its name says: {error}.") from error
        raise UnreadableTextError(str(path), f"cannot be read: {error.strerror}.") from error


def check_text(head: bytes, name: str) -> None:
    """Check that a file may be UTF-8 text by its first bytes.

    Raises:
        UnreadableTextError: It is of another kind.
    """
    kind = kind_of(head[:HEAD])
    if kind is not None and not kind.is_text:
        raise UnreadableTextError(name, str(kind))


def text_kind(path: Path) -> Kind | None:
    """Return what kind of text a file is that its name does not promise, an HTML page for example; else None."""
    with opened(path) as file:
        kind = kind_of(file.peek(HEAD)[:HEAD])
    return kind if kind and kind.is_text else None


def decode_lines(file: "io.BufferedReader[Any]", name: str) -> Iterator[tuple[int, str]]:
    r"""Yield the lines of an opened file with their numbers from 1, a CR alone as \n.

    Raises:
        UnreadableTextError: A byte is not UTF-8.
    """
    offset, others = 0, 0
    for number, raw in enumerate(_raw_lines(file), 1):
        begin = len(_MARK) if number == 1 and raw.startswith(_MARK) else 0
        try:
            line = raw[begin:].decode("utf-8")
        except UnicodeDecodeError as error:
            at = begin + error.start
            what = f"not UTF-8: byte 0x{raw[at]:02X} at offset {offset + at}."
            if others >= _FEW:
                what += f" Others before it are UTF-8 ({others:,} with characters beyond ASCII): correct this line."
            else:
                what += f" {advice(raw[begin:] + file.peek())}"
            raise UnreadableTextError(name, what, number) from error
        offset += len(raw)
        others += not line.isascii()
        yield number, line


def _raw_lines(file: "io.BufferedReader[Any]") -> Iterable[bytes]:
    """The lines of a file as bytes."""
    head = file.peek(_BUFFER)
    if b"\r" not in head or b"\n" in head:
        return file
    as_latin = io.TextIOWrapper(file, encoding="latin-1", newline="")  # which splits at CR, too
    return (_with_newline(line.encode("latin-1")) for line in as_latin)


def _with_newline(line: bytes) -> bytes:
    return line[:-1] + b"\n" if line.endswith(b"\r") else line
