"""A .zip of image files, read without unpacking it."""

import hashlib
import lzma
import zipfile
import zlib
from pathlib import Path

from aigc.data.images.decode import MOST_BYTES, Alpha, reason
from aigc.data.images.files import Files, counts
from aigc.data.images.formats.base import ImageFormat, OpenSettings
from aigc.data.progress import log_once
from aigc.errors import InputError
from aigc.files.names import sort_out
from aigc.files.zip_names import names_of

_BLOCK = 1 << 20
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
        members = self._archive.infolist()
        names, guessed = names_of(members)
        named = zip(names, members, strict=True)
        self._members = {_path_of(path, name): one for path, one in named if not one.is_dir()}
        if guessed:
            first = next(path for path in names if not path.isascii())
            log_once(f"{name}: the archive does not say how names are encoded; they are read as {guessed}: {first}")
        super().__init__(name, sort_out(self._members, counts), alpha)

    def _bytes(self, path: str, most: int | None = None) -> bytes:
        member, most = self._members[path], MOST_BYTES if most is None else most
        where = f"{self.name.rstrip('/')}/{path}"
        if member.file_size > most:
            raise InputError(f"{where}: {member.file_size:,} bytes unpacked, which is too large for such a file.")
        try:
            with self._archive.open(member) as file:
                return file.read()
        except _DAMAGE as error:
            raise InputError(f"{where}: cannot be unpacked: {reason(error)}.") from error

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


def _path_of(name: str, archive: str) -> str:
    """Return a member's path, with `/` between folders and no detours."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InputError(f"{archive}: the name {name!a} leads out of the archive. Pack it anew.")
    return "/".join(parts)


class Archives(ImageFormat):
    """A .zip of image files."""

    suffixes = (".zip",)
    shown = "a .zip file"

    def open(self, where: str, path: Path, settings: OpenSettings) -> Zip:
        """Open the archive."""
        return Zip(where, path, settings.alpha)


FORMAT = Archives()
