"""A .zip of image files, read without unpacking it."""

import hashlib
import lzma
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

from aigc.data.images.decode import MOST_BYTES, Alpha, reason
from aigc.data.images.files import Files, is_hidden, is_image_file
from aigc.data.images.formats.base import ImageFormat, OpenSettings
from aigc.errors import InputError

_BLOCK = 1 << 20
_SAYS_UTF8 = 0x800
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError)
"""What reading an archive can raise; RuntimeError for one that is encrypted or packed in an unknown way."""


class Zip(Files):
    """The image files in an archive, like those in a folder; nothing is written anywhere.

    Args:
        name: Its name in messages.
        path: The archive.
        alpha: How transparency is treated.

    Raises:
        InputError: The archive is damaged, has no image in it, or a name that leads out of it.
    """

    def __init__(self, name: str, path: Path, alpha: Alpha = "drop") -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise InputError(f"{name}: no whole .zip archive: {reason(error)}. Copy or download it again.") from error
        files = {_path_of(info, name): info for info in self._archive.infolist() if not info.is_dir()}
        shown = [path for path in files if not is_hidden(path)]
        self._members = {path: files[path] for path in shown if is_image_file(path)}
        super().__init__(name, self._members, len(shown) - len(self._members), alpha)

    def content(self, index: int) -> bytes:
        """Return the bytes of a file."""
        member = self._members[self.paths[index]]
        if member.file_size > MOST_BYTES:
            what = f"{member.file_size:,} bytes unpacked, which is too large for an image."
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


def _path_of(member: zipfile.ZipInfo, archive: str) -> str:
    """Return a member's path, with `/` between folders and no detours."""
    parts = [part for part in _name_of(member).split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InputError(f"{archive}: the name {member.filename!a} leads out of the archive. Pack it anew.")
    return "/".join(parts)


def _name_of(member: zipfile.ZipInfo) -> str:
    """Return a member's name; macOS and older Chinese Windows write UTF-8 or GB 2312 without saying so."""
    if not member.flag_bits & _SAYS_UTF8:
        for encoding in ("utf-8", "gb2312"):
            with suppress(UnicodeError):  # a name that is not cp437, which zipfile assumes, says so otherwise
                return member.filename.encode("cp437").decode(encoding)
    return member.filename


class Archives(ImageFormat):
    """A .zip of image files."""

    suffixes = (".zip",)
    shown = "a .zip file"

    def open(self, where: str, path: Path, settings: OpenSettings) -> Zip:
        """Open the archive."""
        return Zip(where, path, settings.alpha)


FORMAT = Archives()
