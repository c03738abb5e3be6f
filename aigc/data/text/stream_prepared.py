"""What is made of a stream before training: a tokenizer from a sample, and the validation rows, kept in the cache."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigc.data.progress import step
from aigc.data.text.examples import Example
from aigc.data.text.prepared import PreparedText, find_or_prepare, write_splits
from aigc.data.text.recipe import TextRecipe
from aigc.data.text.split import group_of, one_text
from aigc.data.text.streams import Stream
from aigc.data.text.tokenizer_settings import TokenizerSettings
from aigc.errors import InputError


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
class StreamRecipe(TextRecipe):
    """All that decides what is made of the beginning of a stream, but the stream."""

    tokenizer: StreamTokenizer = field(default_factory=StreamTokenizer)
    validation_documents: int = 500


def prepare_stream(recipe: StreamRecipe, stream: Stream, cache: Path, only_validation: bool = False) -> PreparedText:
    """Find tokenizer and validation rows in the cache, or make them from the first documents.

    Args:
        recipe: How.
        stream: The corpus.
        cache: The folder that holds the entries, under `stream/`.
        only_validation: Whether nothing is trained, so that the corpus need not go on after the text for validation.

    Raises:
        InputError: The corpus is malformed, or holds no text besides that for validation.
    """
    ingredients = recipe.ingredients() | {"corpus": stream.fingerprint(), "head": recipe.settings()}
    only_validation = only_validation and recipe.is_settled
    if only_validation:
        ingredients["part"] = "validation"

    def build(parts: Mapping[str, Any], aside: Path) -> None:
        heldout, sample = _read(recipe, stream)
        if not sample and not (only_validation and heldout):
            raise _too_few(stream, heldout)
        info = {"fingerprint": parts["corpus"], "ingredients": parts}
        write_splits(recipe, {"validation": heldout}, sample, info, aside)

    return find_or_prepare(cache / "stream", ingredients, recipe, build)


def _read(recipe: StreamRecipe, stream: Stream) -> tuple[list[Example], list[Example]]:
    """The first documents with different texts, for validation, and those after them that a tokenizer is made from."""
    needs_sample = recipe.tokenizer.kind != "pretrained" or recipe.objective.fits
    wanted = recipe.tokenizer.sample if needs_sample else 1
    heldout: list[Example] = []
    sample: list[Example] = []
    groups: set[bytes] = set()
    with step(f"reading the beginning of {stream.name}") as advance:
        for example in stream.examples():
            advance(1)
            group = group_of(example, 0)
            if len(heldout) < recipe.validation_documents:
                if group not in groups:
                    heldout.append(example)
                    groups.add(group)
            elif group not in groups:
                sample.append(example)
                if len(sample) == wanted:
                    break
    return heldout, sample


def _too_few(stream: Stream, heldout: list[Example]) -> InputError:
    besides = f" besides the {len(heldout):,} for validation" if heldout else ""
    if len(heldout) == 1:
        return InputError(f"{stream.name}: no text is left{besides}: {one_text(heldout)}")
    return InputError(
        f"{stream.name}: no example with a text{besides}. Is it the right file and column? "
        "data.validation_documents says how many are held out."
    )
