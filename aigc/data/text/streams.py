"""Corpora that are read document by document, from files or the Hugging Face Hub, and never held whole."""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import datasets
from datasets.distributed import split_dataset_by_node

from aigc import assets
from aigc.data.fingerprints import SMALL, sha256_of
from aigc.data.hints import near
from aigc.data.left_out import log_left_out
from aigc.data.random_streams import generator
from aigc.data.text.corpus import Reads, learned
from aigc.data.text.examples import Example, Layout
from aigc.data.text.files import find_files, packed_copies, text_files
from aigc.data.text.formats import reader_of, suffixes
from aigc.data.text.formats.base import pick, without_nulls
from aigc.data.text.hub import refused
from aigc.data.text.sources import first_columns
from aigc.errors import InputError
from aigc.files.names import sort_out
from aigc.printing import plural

HUB = "hub:"
_BESIDES = ", a folder, a pattern, or hub:NAME"
_WILD = re.compile(r"[*?\[]")
_ALIKE = 1.1
"""Files are dealt out whole if the largest is at most this many times as large as the smallest."""


class Stream(ABC):
    """A corpus that is read document by document; it consists of shards, each of which is read from its beginning.

    Args:
        name: Its name in messages.
        layout: Where the examples are in it.
        objective: Makes the examples that are learned of those that are read.
    """

    def __init__(self, name: str, layout: Layout, objective: Reads) -> None:
        self.name = name
        self.read_as(layout, objective)

    def read_as(self, layout: Layout, objective: Reads) -> None:
        """Read it in another way.

        Raises:
            InputError: Columns are named for plain text.
        """
        self.layout = layout
        self.objective = objective

    @abstractmethod
    def columns(self) -> list[str] | None:
        """The columns; None for plain text."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of what the shards are; not of all that is in them, which would have to be read."""

    @abstractmethod
    def _read(self, row: dict[str, Any]) -> Example:
        """The example that a row of the data set holds.

        Raises:
            InputError: A column is missing, or a text is not a string.
        """

    def example(self, row: dict[str, Any]) -> Example:
        """The example that is learned from a row of the data set.

        Raises:
            InputError: The row cannot be used.
        """
        example = self._read(row)
        where = f"{example.file}, example {example.row}" if example.row else self.name
        kept = learned(example, self.objective, where)
        return replace(kept, row=example.row, file=example.file) if example.row else kept

    @abstractmethod
    def _dataset(self, order: tuple[int, int] | None) -> tuple[Any, str]:
        """The rows with the shards in an order of seed and epoch (None: as they are), and how ranks share them."""

    def dataset(
        self, order: tuple[int, int] | None = None, rank: int = 0, world_size: int = 1
    ) -> datasets.IterableDataset:
        """The rows of one rank: whole shards where they are as many on each rank, else every n-th row for n ranks.

        Args:
            order: Seed and epoch, which decide the order of the shards; None is their own.
            rank: Which of the ranks this is.
            world_size: How many ranks there are; each row is on one of them.
        """
        rows, strategy = self._dataset(order)
        if world_size > 1:
            rows = split_dataset_by_node(rows, rank=rank, world_size=world_size, strategy=strategy)
        return rows

    def dealing(self, world_size: int) -> str:
        """Describe how the documents are dealt out among the ranks."""
        rows, strategy = self._dataset(None)
        if world_size == 1:
            return "one rank reads all"
        if strategy == "auto" and rows.num_shards % world_size == 0:
            return f"each of {plural(world_size, 'rank')} reads files of its own"
        return f"each of {plural(world_size, 'rank')} reads all files and keeps one document of {world_size}"

    def examples(self) -> Iterator[Example]:
        """All examples with a text, in the order of the shards.

        Raises:
            InputError: The corpus is malformed.
        """
        return (example for row in self.dataset() if (example := self.example(row)).text.strip())


class FileStream(Stream):
    """Files of text, each of them a shard, read by the readers of whole corpora.

    Args:
        name: Its name in messages.
        files: The files in order.
        layout: Where the examples are in them.
        objective: Makes the examples that are learned.

    Raises:
        InputError: Columns are named for plain text.
    """

    def __init__(self, name: str, files: list[Path], layout: Layout, objective: Reads) -> None:
        self.files = files
        super().__init__(name, layout, objective)

    def read_as(self, layout: Layout, objective: Reads) -> None:
        """Read it in another way; files without columns take no layout that names some."""
        super().read_as(layout, objective)
        if not any(reader_of(path).has_columns for path in self.files):
            layout.check_columns(self.name)

    def columns(self) -> list[str] | None:
        """The columns of the first file that has any."""
        return first_columns(self.files)

    def fingerprint(self) -> str:
        """SHA-256 over the files' names and what they are: the content of those below 1 MiB, else size and time.

        The time is that of the last change, so that a large file that is copied without it (`cp` without -p) counts as
        another one.
        """
        total = hashlib.sha256()
        try:
            for path in self.files:
                found = path.stat()
                small = found.st_size < SMALL
                what = sha256_of([path])[path] if small else f"{found.st_size} {found.st_mtime_ns}"
                total.update(f"{path.name}\0{what}\n".encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}.") from error
        return total.hexdigest()

    def _read(self, row: dict[str, Any]) -> Example:
        return Example(**row)

    def _dataset(self, order: tuple[int, int] | None) -> tuple[Any, str]:
        files = [str(path) for path in self.files]
        if order is not None:
            files = [files[i] for i in generator(*order).permutation(len(files))]
        shards = {"files": files, "layout": self.layout}
        return datasets.IterableDataset.from_generator(read_files, gen_kwargs=shards), self._strategy()

    def _strategy(self) -> str:
        """Unequal files would leave most of the largest unread, as an epoch ends with that of the first rank."""
        sizes = [path.stat().st_size for path in self.files]
        return "auto" if max(sizes) <= _ALIKE * min(sizes) else "examples"


def read_files(files: list[str], layout: Layout) -> Iterator[dict[str, Any]]:
    """The examples of some files as rows, which name the file and the number in it."""
    for name in files:
        path = Path(name)
        for number, example in enumerate(reader_of(path).read(path, layout), 1):
            yield {**example.plain(), "row": number, "file": name}


class HubStream(Stream):
    """The split `train` of a data set of the Hugging Face Hub, or of a folder that is laid out like one.

    Args:
        name: `hub:NAME` or `hub:NAME@REVISION`.
        layout: Which columns hold the examples.
        objective: Makes the examples that are learned.

    Raises:
        InputError: There is no such data set, it cannot be reached, or it has no split `train`.
    """

    def __init__(self, name: str, layout: Layout, objective: Reads) -> None:
        super().__init__(name, layout, objective)
        address, _, revision = name.removeprefix(HUB).partition("@")
        config = datasets.DownloadConfig(max_retries=1)
        try:
            self._builder = datasets.load_dataset_builder(address, revision=revision or None, download_config=config)
            rows = self._builder.as_streaming_dataset()
        except Exception as error:  # the Hub's client raises its transport's own errors too
            raise InputError(f"{name}: no such data set could be opened on the Hub.{refused(error)}") from error
        if "train" not in rows:
            raise InputError(f"{name}: no split is called 'train'; splits: {', '.join(map(str, rows))}.")
        self._rows: Any = rows["train"]

    def columns(self) -> list[str] | None:
        """The columns of the first row."""
        return list(next(iter(self._rows), {}))

    def fingerprint(self) -> str:
        """SHA-256 over the files' addresses, which have the revision in them, and over what the Hub says of them."""
        files = self._builder.config.data_files or {}
        train = files.get("train", [])
        known = [list(map(str, train)), [list(map(str, one)) for one in getattr(train, "origin_metadata", [])]]
        return hashlib.sha256(json.dumps([self._builder.hash, known]).encode()).hexdigest()

    def _read(self, row: dict[str, Any]) -> Example:
        return self.layout.example(without_nulls(pick(row, self.layout, self.name)))

    def _dataset(self, order: tuple[int, int] | None) -> tuple[Any, str]:
        if order is None:
            return self._rows, "auto"
        # IterableDataset.shuffle would put a buffer behind this, whose content is in no state.
        shuffled = self._rows._ex_iterable.shuffle_data_sources(generator(*order))
        return datasets.IterableDataset(shuffled, info=self._rows.info.copy(), split=self._rows.split), "auto"


def open_stream(path: str, layout: Layout, objective: Reads) -> Stream:
    """The stream that a config's `path` means.

    Args:
        path: A file, a folder, a glob pattern, `asset:NAME`, or `hub:NAME`.
        layout: Where the examples are in it.
        objective: Makes the examples that are learned.

    Raises:
        InputError: Nothing is there, or it is of a kind that cannot be read.
    """
    if path.startswith(HUB):
        return HubStream(path, layout, objective)
    located = assets.resolve(path)
    if located.is_dir():
        return FileStream(path, sorted(find_files(path, located, _BESIDES).values()), layout, objective)
    if located.is_file():
        reader_of(located, _BESIDES)
        return FileStream(path, [located], layout, objective)
    files = _matches(path, located)
    if not files:
        what = "no such file or folder, and no file fits a pattern"
        raise InputError(f"{path}: {what}; allowed: {suffixes()}{_BESIDES}.{near(located)}")
    return FileStream(path, files, layout, objective)


def _matches(name: str, pattern: Path) -> list[Path]:
    """The files of text that fit a pattern, in order; none that is hidden below the first wildcard."""
    base = Path(*takewhile(lambda part: not _WILD.search(part), pattern.parts))
    fitting = base.glob(str(pattern.relative_to(base))) if base != pattern else ()
    found = sort_out((path.relative_to(base).as_posix() for path in fitting if path.is_file()), text_files())
    found.leave_out(packed_copies(found.files))
    log_left_out(name, found)
    return sorted(base / path for path in found.files)
