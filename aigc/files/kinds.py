"""What a file is by its first bytes, where it is not the text or the table that its name promises."""

import codecs
import re
from typing import NamedTuple

HEAD = 4096
"""How many bytes are looked at."""
_ICONV = "Save it as UTF-8: iconv -f {0} -t UTF-8 OLD > NEW."
_UNPACK = "Unpack it first."
_NUL_SHARE = 0.3
"""Share of NUL bytes, all at even or all at odd offsets, from which a file is UTF-16."""
_FEWEST_NULS = 3
_MARKS = re.compile("[\n \u3001\u3002\uff0c]")
_USUAL = re.compile(
    "[\t\r\n -~\xa0-\u024f\u0370-\u052f\u2010-\u2026\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uff65]"
)
_USUAL_SHARE = 0.95


class Kind(NamedTuple):
    """A kind of file that is not UTF-8 text in lines.

    Attributes:
        what: What it is, with its article.
        advice: What to do about it.
        is_text: Whether it is text, which somebody may want to read as it is.
        stands_in: Whether it stands in the place of the file that was meant, whatever that is.
    """

    what: str
    advice: str
    is_text: bool = False
    stands_in: bool = False

    def __str__(self) -> str:
        return f"{self.what}, by its first bytes. {self.advice}"


_SIGNATURES = [
    (rb"\xff\xfe\0\0|\0\0\xfe\xff", Kind("UTF-32 text", _ICONV.format("UTF-32"))),
    (rb"\xff\xfe|\xfe\xff", Kind("UTF-16 text", _ICONV.format("UTF-16"))),
    (rb"\x1f\x8b", Kind("a gzip file", "Let its name end in .gz, or unpack it: gunzip < OLD > NEW.")),
    (rb"PK\x03\x04", Kind("a zip archive, as .zip, .xlsx and .docx are", "Unpack it, or save a table as .csv.")),
    (rb"%PDF-\d", Kind("a PDF document", "Extract its text first: pdftotext OLD NEW.txt.")),
    (rb"PAR1[\0-\x1f]", Kind("a parquet file", "Let its name end in .parquet.")),
    (rb"BZh\d1AY&SY", Kind("a bzip2 file", _UNPACK)),
    (rb"\xfd7zXZ\0", Kind("an xz file", _UNPACK)),
    (rb"\x28\xb5\x2f\xfd", Kind("a Zstandard file", _UNPACK)),
    (rb"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", _UNPACK)),
    (rb"Rar!\x1a\x07", Kind("a RAR archive", _UNPACK)),
    (
        rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        Kind("an Office document, as .xls and .doc are", "Save it as .csv or .txt."),
    ),
    (rb"ARROW1\0\0", Kind("an Arrow file", "Save it as .parquet.")),
    (rb"\x89HDF\r\n", Kind("an HDF5 file", "Save its table as .csv or .parquet.")),
    (rb"\x93NUMPY", Kind("a NumPy array", "Save it as .csv or .txt.")),
    (rb"SQLite format 3\0", Kind("an SQLite database", "Save its table as .csv.")),
    (rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a", Kind("an image", "Give a file of text.")),
    (rb"\x80[\x02-\x05][\x8a-\x95}\]]", Kind("a Python pickle", "Save its content as .jsonl.")),
    (rb"GGUF[\x01-\x09]\0\0\0", Kind("a GGUF model", "Give a file of text.")),
    (
        rb"version https://git-lfs\.github\.com/spec/",
        Kind("a Git LFS pointer and not the file itself", "Fetch the file: git lfs pull.", stands_in=True),
    ),
    (
        rb"(?i:\s*<(!doctype\s+html|html[\s>]))",
        Kind("an HTML page", "It may have come in place of a download.", is_text=True, stands_in=True),
    ),
]
_PATTERNS = [(re.compile(pattern), kind) for pattern, kind in _SIGNATURES]


def stand_in(head: bytes) -> Kind | None:
    """Return what stands in the place of a file, by its first bytes; None where it may be the file itself."""
    kind = kind_of(head)
    return kind if kind and kind.stands_in else None


def kind_of(head: bytes) -> Kind | None:
    """Return what a file is by its first bytes; None where it may be UTF-8 text.

    Args:
        head: The first `HEAD` bytes, or all of a shorter file.
    """
    found = next((kind for pattern, kind in _PATTERNS if pattern.match(head.removeprefix(b"\xef\xbb\xbf"))), None)
    return found or _utf16_without_mark(head)


def _utf16_without_mark(head: bytes) -> Kind | None:
    """UTF-16 whose characters have NULs at every other place, as ASCII has, or are usual ones of other scripts."""
    for parity, name in ((1, "UTF-16LE"), (0, "UTF-16BE")):
        zeros = head[parity::2].count(0)
        is_ascii = zeros > max(_FEWEST_NULS, _NUL_SHARE * len(head)) and not head[1 - parity :: 2].count(0)
        if is_ascii or _is_usual(head, name):
            return Kind("UTF-16 text", _ICONV.format(name))
    return None


def _is_usual(head: bytes, encoding: str) -> bool:
    """Whether bytes are of usual characters of UTF-16, with a line end, a space or a full stop among them.

    Without one of these, pairs of letters in other encodings could also be ideographs.
    """
    if b"\0" not in head and _is_utf8(head):
        return False
    try:
        text = head[: len(head) // 2 * 2].decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else a character is cut
            return False
        text = head[: error.start].decode(encoding)
    return bool(_MARKS.search(text)) and len(_USUAL.findall(text)) >= _USUAL_SHARE * len(text)


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
