"""The texts that `aigc score` measures: files of lines, or the samples of a run."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from aigc.cli.parts.lines import STDIN, read_lines
from aigc.errors import InputError


class Corpus(NamedTuple):
    """Predictions of one or more systems, the first of them the baseline, and their references."""

    systems: list[tuple[str, list[str]]]
    """File and texts."""
    reference_files: list[str]
    references: list[list[str]] | None
    """The references of each text."""
    whole: list[list[str]]
    """The texts of each system together with their prompts, where samples have them."""


def read_corpus(predictions: str, references: Sequence[str], others: Sequence[str]) -> Corpus:
    """Read all files.

    Args:
        predictions: A file with one text per line, `-` for stdin, or samples of a run: a .jsonl file with `output` and
            `reference`.
        references: Files with one reference per line, several of them for several references; an empty line is an empty
            reference. Samples include their references.
        others: Predictions of other systems in the same format, which are compared with the first.

    Raises:
        InputError: A file cannot be read or is empty, two differ in their number of lines, samples lack a key or
            differ in their references, or stdin is named twice.
    """
    names = [predictions, *references, *others]
    if Counter(names)[STDIN] > 1:
        raise InputError("- is given twice, and stdin can be read only once")
    samples = [name for name in names if is_samples(name)]
    if is_samples(predictions):
        return _of_samples(predictions, references, others)
    if samples:
        raise InputError(
            f"{samples[0]} has samples with their references, and {predictions} has lines; give files of one kind"
        )
    files = {name: _texts(name) for name in names}
    for name in names[1:]:
        _check_equal(predictions, files[predictions], name, files[name], "lines")
    several = [list(row) for row in zip(*(files[name] for name in references), strict=True)] if references else None
    systems = [(name, files[name]) for name in (predictions, *others)]
    return Corpus(systems, list(references), several, [texts for _, texts in systems])


def is_samples(file: str) -> bool:
    """Whether a file is read as samples of a run."""
    return file.endswith((".jsonl", ".jsonl.gz"))


def _of_samples(predictions: str, references: Sequence[str], others: Sequence[str]) -> Corpus:
    if references:
        raise InputError(f"{predictions} includes its references: omit {' '.join(references)}")
    outputs, expected, whole = _samples(predictions)
    systems, wholes = [(predictions, outputs)], [whole]
    for other in others:
        if not is_samples(other):
            raise InputError(f"{other}: {predictions} has samples; compare it with another .jsonl file")
        texts, its_own, whole = _samples(other)
        _check_equal(predictions, outputs, other, texts, "samples")
        for number, (ours, theirs) in enumerate(zip(expected, its_own, strict=True), 1):
            if ours != theirs:
                raise InputError(f"{other}, line {number}: its reference differs from that of {predictions}")
        systems.append((other, texts))
        wholes.append(whole)
    return Corpus(systems, [predictions], [[reference] for reference in expected], wholes)


def _samples(file: str) -> tuple[list[str], list[str], list[str]]:
    """Return outputs, references and whole texts of a run's samples; a text without a prompt is its output."""
    found: dict[str, list[str]] = {"output": [], "reference": [], "text": []}
    for number, line in enumerate(_texts(file), 1):
        where = f"{file}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not JSON: {error}") from error
        if isinstance(row, dict) and "output" in row:
            row.setdefault("text", row["output"])
        for key, texts in found.items():
            value = row.get(key) if isinstance(row, dict) else None
            if not isinstance(value, str):
                what = f"{key!r} is not a string" if isinstance(row, dict) and key in row else f"there is no {key!r}"
                raise InputError(f"{where}: {what}; samples of a run have prompt, output and reference")
            texts.append(value)
    return found["output"], found["reference"], found["text"]


def _texts(file: str) -> list[str]:
    texts = read_lines(file)
    if not texts:
        raise InputError(f"{'stdin' if file == STDIN else file}: there are no texts")
    return texts


def _check_equal(first: str, texts: Sequence[str], second: str, others: Sequence[str], what: str) -> None:
    if len(texts) != len(others):
        raise InputError(f"{first} has {len(texts)} {what}, {second} has {len(others)}: the numbers must be equal")
