"""Plain text."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from aigc.data.progress import log_once
from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats.base import TextFormat, read_lines
from aigc.files.text import text_kind


class PlainText(TextFormat):
    """An example for each line, each paragraph (blank lines between), or the whole file."""

    suffixes = (".txt",)
    has_columns = False

    def read(self, path: Path, layout: Layout) -> Iterator[Example]:
        """Read the units that `layout.document` names."""
        if kind := text_kind(path):
            log_once(f"{path}: {kind.what}. Its tags are part of the text.", logging.WARNING)
        lines = (line for _, line in read_lines(path))
        if layout.document == "line":
            return (Example(line.rstrip("\r\n")) for line in lines)
        if layout.document == "paragraph":
            return _paragraphs(lines)
        return iter([Example("".join(line.replace("\r\n", "\n") for line in lines))])


def _paragraphs(lines: Iterable[str]) -> Iterator[Example]:
    """Lines joined up to the next blank one."""
    paragraph: list[str] = []
    for line in lines:
        if line.strip():
            paragraph.append(line.rstrip("\r\n"))
        elif paragraph:
            yield Example("\n".join(paragraph))
            paragraph = []
    if paragraph:
        yield Example("\n".join(paragraph))


FORMAT = PlainText()
