"""A corpus, wherever it lies: a file, a folder of files, a saved data set, or one of the Hugging Face Hub."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aigc import assets
from aigc.data.fingerprints import sha256_of
from aigc.data.hints import near
from aigc.data.progress import step
from aigc.data.text.examples import Example, Layout
from aigc.data.text.readers import READERS
from aigc.errors import InputError

__all__ = ["Corpus", "Example", "FileSource", "Layout", "Source", "digest_files", "open_source", "read_corpus"]

_ALLOWED = (
    f"allowed: {', '.join(READERS)}, a folder of such files, a folder saved by datasets, or a Hub data set's name"
)
_TICK = 1000


class Source(ABC):
    """Where examples come from.

    Attributes:
        name: What a person calls it.
    """

    name: str

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of the content: equal content gives an equal hash on every machine."""

    @abstractmethod
    def examples(self, layout: Layout) -> Iterator[Example]:
        """The examples in order, empty ones included."""


@dataclass(frozen=True)
class Corpus:
    """The examples of a source.

    Attributes:
        examples: Those with a text, in the order of the source.
        skipped: How many were empty.
    """

    examples: list[Example]
    skipped: int


class FileSource(Source):
    """One file or several, read in the order of their names.

    Args:
        name: What a person calls it.
        files: The files by the names that enter the fingerprint.
    """

    def __init__(self, name: str, files: dict[str, Path]) -> None:
        self.name = name
        self.files = files

    def fingerprint(self) -> str:
        """SHA-256 over the names and bytes of the files."""
        return digest_files(self.files)

    def examples(self, layout: Layout) -> Iterator[Example]:
        """The examples of all files.

        Raises:
            InputError: A file holds something else than it should, or columns are named for plain text.
        """
        if layout.named and all(path.suffix.lower() == ".txt" for path in self.files.values()):
            raise InputError(
                f"{self.name}: a .txt file has no columns; set data.text_column=null. "
                "data.document says what an example is."
            )
        for path in self.files.values():
            yield from READERS[path.suffix.lower()](path, layout)


def open_source(path: str) -> Source:
    """The source that a config's `path` means.

    Args:
        path: A file, a folder, `asset:NAME`, or the name of a data set on the Hub.

    Raises:
        InputError: Nothing is there, or it is of a kind that cannot be read.
    """
    if not path.strip():
        raise InputError("data.path is empty; give a file, a folder, asset:NAME, or the name of a data set on the Hub")
    place = assets.resolve(path)
    if place.is_file():
        if place.suffix.lower() not in READERS:
            raise InputError(f"{path}: no reader for '{place.suffix or 'a file without an ending'}'; {_ALLOWED}.")
        return FileSource(path, {place.suffix.lower(): place})
    if place.is_dir():
        return _open_folder(path, place)
    if _may_be_hub_name(path, place):
        from aigc.data.text.hub import open_hub

        return open_hub(path, hint=near(place) if place.parent.is_dir() else "")
    raise InputError(f"{path}: no such file or folder.{near(place)}")


def _open_folder(path: str, folder: Path) -> Source:
    """A folder that `datasets` saved, or one of data files at any depth."""
    if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
        from aigc.data.text.hub import open_saved

        return open_saved(path, folder)
    found = (p for p in folder.rglob("*") if p.suffix.lower() in READERS and p.is_file() and not p.name.startswith("."))
    files = {p.relative_to(folder).as_posix(): p for p in found}
    if not files:
        raise InputError(f"{path}: the folder holds no data file; {_ALLOWED}.")
    return FileSource(path, dict(sorted(files.items())))


def _may_be_hub_name(path: str, place: Path) -> bool:
    """Whether a path that does not exist can be `owner/name` or `name` on the Hub."""
    ends_like_file = place.suffix.lower() in READERS
    return (
        not ends_like_file and path.count("/") <= 1 and not path.startswith((".", "/", "~")) and not path.endswith("/")
    )


def digest_files(files: dict[str, Path]) -> str:
    """SHA-256 over names and bytes, in the order given.

    Raises:
        InputError: A file cannot be read.
    """
    contents = sha256_of(files.values())
    total = hashlib.sha256()
    for name, path in files.items():
        total.update(f"{name}\0{contents[path]}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def read_corpus(source: Source, layout: Layout) -> Corpus:
    """Read all examples of a source; empty ones are counted and left out.

    Raises:
        InputError: The source is malformed or holds no text.
    """
    kept, seen = [], 0
    with step(f"reading {source.name}") as advance:
        for seen, example in enumerate(source.examples(layout), 1):
            if example.text.strip():
                kept.append(example)
            if seen % _TICK == 0:
                advance(_TICK)
    if not kept:
        raise InputError(f"{source.name}: no example with a text ({seen} empty ones). Is it the right file and column?")
    return Corpus(kept, skipped=seen - len(kept))
