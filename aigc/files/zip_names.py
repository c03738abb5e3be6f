"""The names in a .zip archive, which mostly does not say how they are written."""

import re
from collections.abc import Sequence
from contextlib import suppress
from zipfile import ZipInfo

from aigc.files.encodings import CODECS, chinese_share, guess

_SAYS_UTF8 = 0x800
_WESTERN = re.compile(rb"(?:[\x00-\x7f]|[\x80-\xa5\xe1](?=[a-z])|(?<=[a-z])[\x80-\xa5\xe1])*")
"""Accented letters of code page 437, each beside a small letter."""
_PAIRS = re.compile(rb"(?:[\x00-\x7f]|[\x81-\xfe][\x80-\xfe])*")
"""Characters of two bytes, of which none is that of a Latin letter."""
_LEAST = 0.5
"""Share of frequent characters in Chinese names."""


def names_of(members: Sequence[ZipInfo]) -> tuple[list[str], str]:
    """Return the names of an archive's members, all in one encoding but those that say that they are UTF-8.

    macOS writes UTF-8 without saying so, and Windows the encoding of its language: it is UTF-8 if all names are, else
    the encoding that they are likely in, else code page 437, as the format has it.

    Returns:
        The names, and the encoding if nothing says that it is the right one, else an empty string.
    """
    raw = [_raw(one) for one in members]
    unmarked = [name for name in raw if name is not None]
    encoding = _encoding(unmarked)
    names = [
        one.filename if name is None else name.decode(CODECS.get(encoding, encoding))
        for one, name in zip(members, raw, strict=True)
    ]
    return names, "" if encoding == "utf-8" else encoding


def _raw(member: ZipInfo) -> bytes | None:
    """A name's bytes; None where the archive says what they mean, by the flag or an extra field."""
    if member.flag_bits & _SAYS_UTF8:
        return None
    with suppress(UnicodeEncodeError):
        return member.filename.encode("cp437")  # which zipfile has assumed
    return None


def _encoding(names: Sequence[bytes]) -> str:
    """The one encoding of all names."""
    if all(_is(name, "utf-8") for name in names):
        return "utf-8"
    if all(_WESTERN.fullmatch(name) for name in names):
        return "cp437"
    together = b"\n".join(part for name in names for part in name.split(b"/") if not part.isascii())
    likely = guess(together) or ("GB18030" if _may_be_chinese(together) else "")
    fits = likely not in ("", "WINDOWS-1252") and all(_is(name, CODECS[likely]) for name in names)
    return likely if fits else "cp437"


def _may_be_chinese(names: bytes) -> bool:
    """Whether names can be Chinese with many rare characters, as those of persons have."""
    return bool(_PAIRS.fullmatch(names)) and chinese_share(names.decode("gb18030", "ignore")) >= _LEAST


def _is(name: bytes, encoding: str) -> bool:
    try:
        name.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
