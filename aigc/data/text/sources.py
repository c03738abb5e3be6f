"""From the path of a config to a corpus: a file, a folder of files, a saved data set, or one of the Hub."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from aigc import assets
from aigc.data.hints import near
from aigc.data.text.corpus import Source, digest_files
from aigc.data.text.examples import Example, Layout
from aigc.data.text.files import check_folder, find_files
from aigc.data.text.formats import format_of, reader_of, suffix_of
from aigc.errors import InputError

_BESIDES = ", a folder of such files, a folder saved by datasets, or a Hub data set's name"


class FileSource(Source):
    """One file or several, read in the order of their names.

    Args:
        name: Its name in messages.
        files: The files by the names that enter the fingerprint.
    """

    def __init__(self, name: str, files: dict[str, Path]) -> None:
        self.name = name
        self.files = files

    def fingerprint(self) -> str:
        """SHA-256 over the names and bytes of the files."""
        return digest_files(self.files)

    def columns(self) -> list[str] | None:
        """The columns of the first file that has any."""
        return first_columns(self.files.values())

    def examples(self, layout: Layout) -> Iterator[Example]:
        """The examples of all files.

        Raises:
            InputError: A file holds something else than it should, or columns are named for plain text.
        """
        read = [(path, reader_of(path)) for path in self.files.values()]
        if not any(one.has_columns for _, one in read):
            layout.check_columns(self.name)
        for path, one in read:
            yield from one.read(path, layout)


def first_columns(files: Iterable[Path]) -> list[str] | None:
    """Return the columns of the first of some files that has any."""
    found = (one.columns(path) for path in files if (one := reader_of(path)).has_columns)
    return next((columns for columns in found if columns), None)


def open_source(path: str) -> Source:
    """The source that a config's `path` means.

    Args:
        path: A file, a folder, `asset:NAME`, or the name of a data set on the Hub.

    Raises:
        InputError: Nothing is there, or it is of a kind that cannot be read.
    """
    if not path.strip():
        raise InputError("the path is empty; give a file, a folder, asset:NAME, or the name of a data set on the Hub")
    found = assets.resolve(path)
    if found.is_file():
        reader_of(found, _BESIDES)
        return FileSource(path, {suffix_of(found): found})
    if found.is_dir():
        return _open_folder(path, found)
    if _may_be_hub_name(path, found):
        from aigc.data.text.hub import open_hub

        return open_hub(path, hint=near(found) if found.parent.is_dir() else "")
    raise InputError(f"{path}: no such file or folder.{near(found)}")


def check_path(path: str) -> None:
    """Check before anything is read that a corpus can be there; names on the Hub and patterns are left to the reader.

    Raises:
        InputError: There is no such file or folder, it is a file of a kind that cannot be read, or nothing is in it.
    """
    found = assets.resolve(path)
    if path.strip() and found.is_dir():
        if not _is_saved(found):
            check_folder(path, found, _BESIDES)
        return
    is_name = ":" in path or any(letter in path for letter in "*?[") or _may_be_hub_name(path, found)
    if not path.strip() or found.is_file() or not (found.exists() or is_name):
        open_source(path)
    if found.is_file() and not found.stat().st_size:
        raise InputError(f"{path}: the file is empty")


def _open_folder(path: str, folder: Path) -> Source:
    """A folder that `datasets` saved, or one of data files at any depth."""
    if _is_saved(folder):
        from aigc.data.text.hub import open_saved

        return open_saved(path, folder)
    return FileSource(path, find_files(path, folder, _BESIDES))


def _is_saved(folder: Path) -> bool:
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def _may_be_hub_name(path: str, found: Path) -> bool:
    """Whether a path that does not exist can be `owner/name` or `name` on the Hub."""
    looks_like_name = path.count("/") <= 1 and not path.startswith((".", "/", "~")) and not path.endswith("/")
    return looks_like_name and format_of(found) is None
