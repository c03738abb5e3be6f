"""Sources of examples, and reading all examples of one."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from aigc.data.fingerprints import sha256_of
from aigc.data.progress import log_once, step
from aigc.data.text.examples import Example, Layout
from aigc.errors import InputError
from aigc.printing import plural

_TICK = 1000


class Source(ABC):
    """Where examples come from.

    Attributes:
        name: Its name in messages.
    """

    name: str

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of the content: equal content gives an equal hash on every machine."""

    @abstractmethod
    def columns(self) -> list[str] | None:
        """The columns, of several files those of the first one that has any; None for plain text."""

    @abstractmethod
    def examples(self, layout: Layout) -> Iterator[Example]:
        """The examples in order, empty ones included."""


class Reads(Protocol):
    """What makes the example that is learned from one as it was read, as an objective does."""

    def example(self, example: Example) -> Example:
        """The example that is learned."""


@dataclass(frozen=True)
class Corpus:
    """The examples of a source.

    Attributes:
        examples: Those with a text, in the order of the source.
        skipped: How many were empty.
    """

    examples: list[Example]
    skipped: int


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


def read_corpus(source: Source, layout: Layout, objective: Reads | None = None) -> Corpus:
    """Read all examples of a source; empty ones are counted and left out.

    Args:
        source: The source.
        layout: Where the examples are in it.
        objective: Makes the examples that are learned of them; None takes them as they were read.

    Raises:
        InputError: The source is malformed or holds no text.
    """
    kept, seen = [], 0
    with step(f"reading {source.name}") as advance:
        for seen, read in enumerate(source.examples(layout), 1):
            example = learned(read, objective, f"{source.name}, example {seen}") if objective else read
            if example.text.strip():
                kept.append(replace(example, row=seen) if example.values else example)
            if seen % _TICK == 0:
                advance(_TICK)
    if not kept:
        raise InputError(f"{source.name}: no example with a text ({seen} empty ones). Is it the right file and column?")
    if skipped := seen - len(kept):
        log_once(f"{source.name}: {skipped:,} of {plural(seen, 'example')} have no text to learn and are left out")
    return Corpus(kept, skipped)


def learned(example: Example, objective: Reads, where: str) -> Example:
    """The example that an objective learns from one as it was read.

    Args:
        example: As it was read; an empty one, of a blank line, stays what it is.
        objective: The objective.
        where: Where the example stands, for messages.

    Raises:
        InputError: The objective cannot use a value.
    """
    if not example.text and not example.values:
        return example
    try:
        return objective.example(example)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
