"""The names in a .zip archive, which mostly does not say how they are written."""

import re
from collections.abc import Sequence
from contextlib import suppress
from zipfile import ZipInfo

_SAYS_UTF8 = 0x800
_WESTERN = re.compile(rb"(?:[\x00-\x7f]|[\x80-\xa5\xe1](?=[a-z])|(?<=[a-z])[\x80-\xa5\xe1])*")
"""Accented letters of code page 437, each beside a small letter."""


def names_of(members: Sequence[ZipInfo]) -> list[str]:
    """Return the names of an archive's members, all in one encoding but those that say that they are UTF-8.

    macOS writes UTF-8 without saying so, Chinese Windows GBK: it is UTF-8 if all names are, else GB 18030 if all can
    be, else code page 437, as the format has it.
    """
    raw = [_raw(one) for one in members]
    encoding = _encoding([name for name in raw if name is not None])
    return [one.filename if name is None else name.decode(encoding) for one, name in zip(members, raw, strict=True)]


def _raw(member: ZipInfo) -> bytes | None:
    """A name's bytes; None where the archive says what they mean, by the flag or an extra field."""
    if member.flag_bits & _SAYS_UTF8:
        return None
    with suppress(UnicodeEncodeError):
        return member.filename.encode("cp437")  # which zipfile has assumed
    return None


def _encoding(names: Sequence[bytes]) -> str:
    """The one encoding of all names."""
    with suppress(UnicodeDecodeError):
        for name in names:
            name.decode("utf-8")
        return "utf-8"
    if not all(_WESTERN.fullmatch(name) for name in names):
        with suppress(UnicodeDecodeError):
            for name in names:
                name.decode("gb18030")
            return "gb18030"
    return "cp437"
