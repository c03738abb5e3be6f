"""The texts that `aigc score` measures: files of lines, or the samples of a run."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aigc.cli.parts.lines import STDIN, read_lines
from aigc.data.text.json_rows import Located, lines, whole
from aigc.errors import InputError

_LINES = (".jsonl", ".jsonl.gz")
_WHOLE = (".json", ".json.gz")


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
        predictions: A file with one text per line, `-` for stdin, or samples of a run: a .jsonl or .json file with
            `output` and `reference`, which may be a list.
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
    return file.endswith((*_LINES, *_WHOLE))


def _of_samples(predictions: str, references: Sequence[str], others: Sequence[str]) -> Corpus:
    if references:
        raise InputError(f"{predictions} includes its references: omit {' '.join(references)}")
    outputs, expected, texts_and_prompts = _samples(predictions)
    systems, wholes = [(predictions, outputs)], [texts_and_prompts]
    for other in others:
        if not is_samples(other):
            raise InputError(f"{other}: {predictions} has samples; compare it with another .jsonl or .json file")
        texts, its_own, texts_and_prompts = _samples(other)
        _check_equal(predictions, outputs, other, texts, "samples")
        for number, (ours, theirs) in enumerate(zip(expected, its_own, strict=True), 1):
            if ours != theirs:
                raise InputError(f"{other}, line {number}: its reference differs from that of {predictions}")
        systems.append((other, texts))
        wholes.append(texts_and_prompts)
    return Corpus(systems, [predictions], expected, wholes)


def _samples(file: str) -> tuple[list[str], list[list[str]], list[str]]:
    """Return outputs, references and whole texts of a run's samples; a text without a prompt is its output."""
    outputs: list[str] = []
    references: list[list[str]] = []
    texts: list[str] = []
    for where, row in _rows(file):
        row = row or {}
        outputs.append(_text(row, "output", where))
        texts.append(_text(row, "text", where) if "text" in row else outputs[-1])
        several = row.get("reference", row.get("references"))
        if isinstance(several, list) and several and all(isinstance(one, str) for one in several):
            references.append(several)
        else:
            references.append([_text({"reference": several} if several is not None else row, "reference", where)])
    if not outputs:
        raise InputError(f"{file}: there are no texts")
    return outputs, references, texts


def _rows(file: str) -> Iterator[Located]:
    read = whole if file.endswith(_WHOLE) else lines
    return read(Path(file), ("output", "reference"))


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    value = row.get(key)
    if isinstance(value, str):
        return value
    what = f"{key!r} is not a string" if key in row else f"there is no {key!r}"
    raise InputError(f"{where}: {what}; samples of a run have prompt, output and reference (or a list of references)")


def _texts(file: str) -> list[str]:
    texts = read_lines(file)
    if not texts:
        raise InputError(f"{'stdin' if file == STDIN else file}: there are no texts")
    return texts


def _check_equal(first: str, texts: Sequence[str], second: str, others: Sequence[str], what: str) -> None:
    if len(texts) != len(others):
        raise InputError(f"{first} has {len(texts)} {what}, {second} has {len(others)}: the numbers must be equal")
