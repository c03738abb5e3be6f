"""Data on a screen: facts, numbers of each split, and samples in which what is learned is marked."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from aigc.cli.parts.result import number, print_columns
from aigc.data.base import PreparedData
from aigc.data.preview import Description, Piece, Sample, joined
from aigc.errors import InputError
from aigc.printing import plural, print_json, shortened, visible

if TYPE_CHECKING:
    from rich.text import Text

_MARKS = (("⟦", "⟧"), ("[[", "]]"))
"""What stands around learned tokens where there is no colour; the second where stdout cannot write the first."""
_WIDEST = 200
"""Characters of a fact that are shown."""
_INDENT = "    "


def print_data(data: Any, options: argparse.Namespace) -> None:
    """Print what a data module is, and its first samples.

    Args:
        data: The data module, prepared.
        options: `split`, `rows`, `tokens`, `json`.

    Raises:
        InputError: There is no such split.
    """
    if not isinstance(data, PreparedData):  # a person's own, of Lightning alone
        data_facts = {"class": type(data).__qualname__, "fingerprint": getattr(data, "fingerprint", None)}
        known, samples = Description(data_facts, {}), list[Sample]()
    else:
        known = data.describe()
        if known.splits and options.split not in known.splits:
            raise InputError(f"--split {options.split}: no such split; splits with rows: {', '.join(known.splits)}")
        samples = list(data.samples(options.split, options.rows)) if options.rows else []
    if not options.tokens:
        samples = [Sample({n: joined(one) for n, one in each.sequences.items()}, each.values) for each in samples]
    if options.json:
        print_json(_record(known, options.split, samples))
    else:
        _print_description(known)
        _print_samples(options.split, samples, options.tokens)


def _record(known: Description, split: str, samples: Iterable[Sample]) -> dict[str, Any]:
    rows = [
        {**asdict(one), "sequences": {n: list(map(_piece, p)) for n, p in one.sequences.items()}} for one in samples
    ]
    return {"data": known.facts, "splits": known.splits, "batch": known.batch, "split": split, "rows": rows}


def _piece(piece: Piece) -> dict[str, Any]:
    return {**asdict(piece), "learned": piece.learned}


def _print_description(known: Description) -> None:
    rows = [(_title(name), _line(shortened(_fact(value), _WIDEST))) for name, value in known.facts.items()]
    if known.batch:
        rows.append(("batch", ", ".join(f"{_line(name)} {_fact(value, ' x ')}" for name, value in known.batch.items())))
    print_columns(rows)
    names = dict.fromkeys(name for split in known.splits.values() for name in split)
    if names:
        print()
        head = [("", *known.splits)]
        print_columns(head + [(_title(n), *(_number(n, one.get(n)) for one in known.splits.values())) for n in names])


def _title(name: str) -> str:
    return name.replace("_", " ")


def _line(text: str) -> str:
    """Return a text in one line."""
    return visible(text).replace("\n", "")


def _fact(value: Any, between: str = ", ") -> str:
    """Return a fact as it is read: a list as its members."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return between.join(map(str, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return str(value)


def _number(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if "share" in name:
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else number(value)


def _print_samples(split: str, samples: Sequence[Sample], with_ids: bool) -> None:
    from rich.console import Console

    if not samples:
        return
    console = Console(highlight=False, soft_wrap=True)
    coloured = console.color_system is not None and not console.no_color
    marks = ("", "") if coloured else _marks()
    print(f"\nlearned: {'green' if coloured else '{} ... {}'.format(*marks)}")
    for index, sample in enumerate(samples, 1):
        values = "".join(f", {_line(name)} {value}" for name, value in sample.values.items())
        for name, pieces in sample.sequences.items():
            tokens = [label for piece in pieces for label in piece.labels]
            size = f"{plural(len(tokens), 'token')}, {sum(one is not None for one in tokens):,} learned"
            inside = f" {_line(name)}" if len(sample.sequences) > 1 else ""
            print(f"\n{_line(split)} {index}{inside}: {size}{values}")
            text = _marked(pieces, marks, with_ids)
            console.print(text) if coloured else print(text.plain)


def _marks() -> tuple[str, str]:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        "".join(_MARKS[0]).encode(encoding)
    except UnicodeEncodeError:
        return _MARKS[1]
    return _MARKS[0]


def _marked(pieces: Sequence[Piece], marks: tuple[str, str], with_ids: bool) -> "Text":
    """Return the text of tokens, with what is learned in a colour and between marks."""
    from rich.text import Text

    found = Text(_INDENT)
    for learned, run in groupby(pieces, lambda piece: piece.learned):
        found.append(marks[0] if learned else "")
        for piece in run:
            style = ("green" if learned else "dim") + (" bold" if piece.special else "")
            text = visible(piece.text)
            found.append(text.rstrip("\n").replace("\n", f"\n{_INDENT}"), style)
            if piece.expected:
                found.append(f" -> {visible(piece.expected)}", "green")
            if with_ids:
                found.append(f"{{{' '.join(map(str, piece.ids))}}}", "dim")
            found.append(f"\n{_INDENT}" if text.endswith("\n") else "")
        found.append(marks[1] if learned else "")
    found.rstrip()
    return found
