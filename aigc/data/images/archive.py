"""A .zip of picture files, read without unpacking it."""

import hashlib
import lzma
import zipfile
import zlib
from pathlib import Path

from aigc.data.images.decode import MOST_BYTES, Alpha, reason
from aigc.data.images.files import Files, is_hidden, is_picture
from aigc.errors import InputError

_BLOCK = 1 << 20
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError)
"""What reading an archive can raise; RuntimeError for one that is encrypted or packed in an unknown way."""


class Zip(Files):
    """The picture files in an archive, like those in a folder; nothing is written anywhere.

    Args:
        name: What a person calls it.
        path: The archive.
        alpha: What becomes of transparency.

    Raises:
        InputError: It is no whole archive, or has no picture in it.
    """

    def __init__(self, name: str, path: Path, alpha: Alpha = "drop") -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise InputError(f"{name}: no whole .zip archive: {reason(error)}. Copy or download it again.") from error
        files = [info for info in self._archive.infolist() if not info.is_dir() and not is_hidden(info.filename)]
        self._members = {info.filename: info for info in files if is_picture(info.filename)}
        super().__init__(name, self._members, sum(not is_picture(info.filename) for info in files), alpha)

    def content(self, index: int) -> bytes:
        """The bytes of a file."""
        member = self._members[self.paths[index]]
        if member.file_size > MOST_BYTES:
            what = f"{member.file_size:,} bytes unpacked, which is too large for a picture."
            raise InputError(f"{self.name_of(index)}: {what}")
        try:
            with self._archive.open(member) as file:
                return file.read()
        except _DAMAGE as error:
            raise InputError(f"{self.name_of(index)}: cannot be unpacked: {reason(error)}.") from error

    def _hash_files(self) -> list[str]:
        return [self._hash(self._members[path]) for path in self.paths]

    def _hash(self, member: zipfile.ZipInfo) -> str:
        try:
            total = hashlib.sha256()
            with self._archive.open(member) as file:
                while block := file.read(_BLOCK):
                    total.update(block)
            return total.hexdigest()
        except _DAMAGE:
            return f"unreadable {member.CRC:08x}"
