"""Which files a path of data means, and what is in them: a copy, a packed one and one in an archive hold the same."""

import hashlib
import os
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from aigc import assets
from aigc.data.fingerprints import sha256_of
from aigc.errors import InputError
from aigc.files.names import is_hidden
from aigc.files.search import search
from aigc.files.text import PACKED, opened

_ABOUT = re.compile(r"(readme|licen[cs]e|copying|notice|changelog|citation|state|dataset_?(info|dict)s?)\b.*", re.I)
"""Names of files that tell of the data beside them, and are alike in many data sets."""
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Content:
    """What is in a file, or in one file of an archive.

    Attributes:
        file: The file.
        member: The name of the file inside the archive; empty for a file itself.
        size: Bytes; None for a packed file, whose size is known when it is unpacked.
    """

    file: Path
    member: str
    size: int | None

    @property
    def name(self) -> str:
        """Its name without folders."""
        return PurePosixPath(self.member).name or self.file.name

    @property
    def ending(self) -> str:
        """What its name ends in, which says how it is read."""
        return PurePosixPath(self.name[: -len(PACKED)] if self.size is None else self.name).suffix.lower()

    @cached_property
    def digest(self) -> str | None:
        """The SHA-256 of the bytes, unpacked; None if they cannot be read."""
        try:
            if self.size is None:
                return _of_packed(self.file)
            return _of_member(self.file, self.member) if self.member else sha256_of([self.file])[self.file]
        except (InputError, OSError, RuntimeError, ValueError, zipfile.BadZipFile):
            return None


def files_of(path: str, base: Path | None = None) -> list[str]:
    """Return the files that a path of data means, in order, with links followed; of a Hub name, the name itself.

    Args:
        path: A file, a folder, a pattern, or another name of data.
        base: The folder that a relative path refers to; None is the working directory.
    """
    try:
        found = (base or Path.cwd()) / assets.resolve(path)
    except InputError:
        return [path]
    if found.is_dir():
        inside = sorted(found / name for name in search(found, lambda _: True).files)
        return list(dict.fromkeys(map(os.path.realpath, inside)))
    if found.exists():
        return [os.path.realpath(found)]
    return _matches(found.absolute()) or [path]


def contents_of(files: Iterable[str]) -> list[Content]:
    """Return what is in these files, without empty ones and those that only tell of others; none is read."""
    found = [one for file in map(Path, files) if file.is_file() for one in _contents(file) if one.size != 0]
    return [one for one in found if not _ABOUT.fullmatch(one.name)] or found


def shared(one: Sequence[Content], other: Sequence[Content]) -> list[Content]:
    """Return what of the first is in the second, too; nothing is read that already differs in size."""
    there = {each.digest for each in _alike(other, one)} - {None}
    return [each for each in _alike(one, other) if each.digest in there] if there else []


def is_same(one: Sequence[Content], other: Sequence[Content]) -> bool:
    """Whether both hold the same in the same order, each read in the same way."""
    if not one or len(one) != len(other) or len(shared(one, other)) < len(one):
        return False
    return all(
        first.digest == second.digest and first.ending == second.ending
        for first, second in zip(one, other, strict=True)
    )


def _alike(some: Sequence[Content], other: Sequence[Content]) -> list[Content]:
    """Those whose size something in the others has, or may have."""
    sizes = {each.size for each in other}
    return [each for each in some if each.size in sizes or each.size is None or None in sizes]


def _contents(file: Path) -> list[Content]:
    if file.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(file) as archive:
                members = [one for one in archive.infolist() if not one.is_dir() and not is_hidden(one.filename)]
        except (OSError, ValueError, zipfile.BadZipFile):
            members = []
        return sorted((Content(file, one.filename, one.file_size) for one in members), key=lambda one: Path(one.member))
    return [Content(file, "", None if file.name.lower().endswith(PACKED) else file.stat().st_size)]


def _of_packed(file: Path) -> str:
    total = hashlib.sha256()
    with opened(file) as unpacked:
        while block := unpacked.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def _of_member(file: Path, member: str) -> str:
    total = hashlib.sha256()
    with zipfile.ZipFile(file) as archive, archive.open(member) as unpacked:
        while block := unpacked.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def _matches(pattern: Path) -> list[str]:
    """Return the files that fit a pattern."""
    root = Path(pattern.anchor)
    try:
        fitting = sorted(one for one in root.glob(str(pattern.relative_to(root))) if one.is_file())
    except ValueError:  # no pattern
        return []
    return list(dict.fromkeys(map(os.path.realpath, fitting)))
