"""What is made of a stream before training: a tokenizer from a sample, and the validation rows, kept in the cache."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aigc.data.cache import entry_key, find_or_make
from aigc.data.progress import step
from aigc.data.text.examples import Example, Layout
from aigc.data.text.prepared import PreparedText, write_examples
from aigc.data.text.split import group_of
from aigc.data.text.streams import Stream
from aigc.data.text.tokenised import tokenise
from aigc.data.text.tokenizer import fingerprint, load_pretrained, make_tokenizer, resolve
from aigc.data.text.tokenizer_settings import TokenizerSettings
from aigc.errors import InputError

FORMAT = 1
"""Raised whenever the same recipe would give other files."""


@dataclass(frozen=True)
class StreamTokenizer(TokenizerSettings):
    """How streamed text becomes tokens.

    Raises:
        InputError: A value is out of its range.
    """

    sample: int = 10_000
    """How many documents, after those for validation, a tokenizer is made from that is not pretrained."""

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        if self.sample < 1:
            raise InputError(f"data.tokenizer.sample is {self.sample}; allowed: at least 1.")


@dataclass(frozen=True)
class Head:
    """All that decides what is made of the beginning of a stream, but the stream."""

    layout: Layout = field(default_factory=Layout)
    tokenizer: StreamTokenizer = field(default_factory=StreamTokenizer)
    sequence_length: int = 256
    packing: bool = True
    validation_documents: int = 500


def prepare_stream(head: Head, stream: Stream, cache: Path) -> PreparedText:
    """Find tokenizer and validation rows in the cache, or make them from the first documents.

    Args:
        head: How.
        stream: The corpus.
        cache: The folder that holds the entries, under `stream/`.

    Raises:
        InputError: The corpus is malformed, or holds no text besides that for validation.
    """
    pretrained = load_pretrained(head.tokenizer.path or "") if head.tokenizer.kind == "pretrained" else None
    settings = asdict(head)
    settings["tokenizer"]["path"] = None  # where a tokenizer lies does not matter, what it is does
    ingredients: dict[str, Any] = {
        "format": FORMAT,
        "corpus": stream.fingerprint(),
        "head": settings,
        "pretrained": fingerprint(pretrained) if pretrained else None,
        "versions": {name: version(name) for name in ("tokenizers", "transformers")},
    }
    folder = cache / "stream" / entry_key(ingredients)
    find_or_make(folder, lambda aside: _build(head, stream, ingredients, aside))
    return PreparedText(folder, json.loads((folder / "info.json").read_text(encoding="utf-8")))


def _build(head: Head, stream: Stream, ingredients: Mapping[str, Any], folder: Path) -> None:
    """Read the beginning of the stream and write what comes of it into `folder`."""
    heldout, sample = _read(head, stream)
    texts = [text for example in sample for text in (example.prompt, example.text) if text]
    settings = resolve(head.tokenizer, texts)
    tokenizer = make_tokenizer(settings, texts)
    tokenizer.save_pretrained(folder / "tokenizer")
    packed = tokenise("validation", heldout, tokenizer, head.sequence_length, head.packing)
    packed.save(folder / "validation")
    if heldout and not packed.numbers["documents"]:
        raise InputError(f"None of the {len(heldout):,} validation examples gives a token to learn.")
    info = {
        "fingerprint": ingredients["corpus"],
        "ingredients": ingredients,
        "sequence_length": head.sequence_length,
        "tokenizer": {"kind": settings.kind, "vocabulary_size": len(tokenizer)},
        "validation": packed.numbers,
    }
    write_examples(folder / "validation.jsonl", heldout)
    (folder / "info.json").write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(head: Head, stream: Stream) -> tuple[list[Example], list[Example]]:
    """The first documents with different texts, for validation, and those after them that a tokenizer is made from."""
    wanted = 1 if head.tokenizer.kind == "pretrained" else head.tokenizer.sample
    heldout: list[Example] = []
    sample: list[Example] = []
    groups: set[bytes] = set()
    with step(f"reading the beginning of {stream.name}") as advance:
        for example in stream.examples():
            advance(1)
            group = group_of(example, 0)
            if len(heldout) < head.validation_documents:
                if group not in groups:
                    heldout.append(example)
                    groups.add(group)
            elif group not in groups:
                sample.append(example)
                if len(sample) == wanted:
                    break
    if not sample:
        besides = f" besides the {len(heldout):,} for validation" if heldout else ""
        raise InputError(
            f"{stream.name}: no example with a text{besides}. Is it the right file and column? "
            "data.validation_documents says how many are held out."
        )
    return heldout, sample
