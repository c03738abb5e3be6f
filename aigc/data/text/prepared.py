"""Prepared text: read, split, tokenised and packed once, then kept in the cache under a key of all its ingredients."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from aigc.data.cache import entry_key, find_or_make
from aigc.data.text.corpus import Corpus, Source, read_corpus
from aigc.data.text.examples import Example
from aigc.data.text.learned import LearnedElse, beyond, learn
from aigc.data.text.objectives.base import Context, Objective
from aigc.data.text.objectives.causal import Causal
from aigc.data.text.recipe import CorpusRecipe, TextRecipe
from aigc.data.text.rows import Rows
from aigc.data.text.split import overlap, split
from aigc.data.text.tokenised import dropped_note, tokenise
from aigc.data.text.tokenizer import make_tokenizer, resolve
from aigc.errors import InputError
from aigc.printing import plural

_log = logging.getLogger("aigc")


@dataclass(frozen=True)
class PreparedText:
    """An entry of the cache.

    Attributes:
        folder: Holds `tokenizer/`, `train/`, `validation/`, `validation.jsonl` and `info.json`.
        info: The content of `info.json`; each split has a section of numbers.
        objective: Makes the batches.
    """

    folder: Path
    info: dict[str, Any]
    objective: Objective = field(default_factory=Causal, compare=False)

    @cached_property
    def context(self) -> Context:
        """What the objective works with."""
        return Context(self.info["sequence_length"], self.folder / "tokenizer", self.info.get("learned", {}))

    @property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer that the rows were made with."""
        return self.context.tokenizer

    @cached_property
    def heldout(self) -> list[Example]:
        """The validation examples in order."""
        with (self.folder / "validation.jsonl").open(encoding="utf-8") as lines:
            return [Example(**json.loads(line)) for line in lines]

    def rows(self, name: str, seed: int = 0) -> Rows:
        """The rows of `train` or `validation`."""
        return Rows(self.folder / name, self.objective, self.context, seed)


def open_prepared(folder: Path, recipe: TextRecipe) -> PreparedText:
    """Open an entry that is whole."""
    info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
    return PreparedText(folder, info, recipe.objective)


def prepare(recipe: CorpusRecipe, source: Source, validation: Source | None, cache: Path) -> PreparedText:
    """Find the prepared data in the cache, or make them.

    Args:
        recipe: How the corpus is prepared.
        source: The corpus.
        validation: A corpus of its own for validation; without one, a share of `source` is split off.
        cache: The folder that holds the entries, under `text/`.

    Raises:
        InputError: The corpus or the recipe is wrong.
    """
    ingredients = recipe.ingredients() | {
        "corpus": source.fingerprint(),
        "validation": validation.fingerprint() if validation else None,
        "recipe": recipe.settings(),
    }

    def build(parts: Mapping[str, Any], aside: Path) -> None:
        _build(recipe, source, validation, parts, aside)
        check_unchanged(source, parts["corpus"])

    return find_or_prepare(cache / "text", ingredients, recipe, build)


def find_or_prepare(
    cache: Path, ingredients: Mapping[str, Any], recipe: TextRecipe, build: Callable[[Mapping[str, Any], Path], None]
) -> PreparedText:
    """Find an entry in the cache, or make it.

    Where `recipe.learned` is what the examples teach, as in a run that is resumed, the entry is the one without it.

    Args:
        cache: The folder of all entries.
        ingredients: What decides the entry besides `recipe.learned`.
        recipe: How it is made.
        build: Makes it from these ingredients and fills a folder.
    """
    known = dict(recipe.learned)
    for parts in (ingredients, *([{**ingredients, "learned": known}] if known else [])):
        folder = cache / entry_key(parts)
        try:
            find_or_make(folder, lambda aside, parts=parts: build(parts, aside))  # type: ignore[misc]
        except LearnedElse:
            continue
        prepared = open_prepared(folder, recipe)
        if not known or prepared.context.learned == known:
            break
    return prepared


def check_unchanged(source: Source, fingerprint: str) -> None:
    """A file that was written to while it was read would be kept under the key of other content."""
    if source.fingerprint() != fingerprint:
        raise InputError(f"{source.name} changed while it was read. Start again when nothing writes to it.")


def _fingerprint(corpus: str, validation: str | None) -> str:
    """One hash for the content of all corpora."""
    return hashlib.sha256(f"{corpus}\n{validation}".encode()).hexdigest() if validation else corpus


def _build(
    recipe: CorpusRecipe, source: Source, validation: Source | None, ingredients: Mapping[str, Any], folder: Path
) -> None:
    """Make everything from the corpus and write it into `folder`."""
    corpus = read_corpus(source, recipe.layout, recipe.objective)
    heldout = read_corpus(validation, recipe.layout, recipe.objective) if validation else None
    splits, skipped = _split(recipe, corpus, heldout)
    info: dict[str, Any] = {
        "fingerprint": _fingerprint(ingredients["corpus"], ingredients["validation"]),
        "ingredients": ingredients,
        "skipped": skipped,
    }
    write_splits(recipe, splits, splits["train"], info, folder)


def write_splits(
    recipe: TextRecipe,
    splits: Mapping[str, Sequence[Example]],
    sample: Sequence[Example],
    info: dict[str, Any],
    folder: Path,
) -> None:
    """Make a tokenizer and the rows of all splits, and write them into `folder`.

    Args:
        recipe: How.
        splits: The examples of each split, `validation` among them.
        sample: The training examples that the tokenizer is made from, and the objective fitted to.
        info: What `info.json` says besides.
        folder: The entry.

    Raises:
        InputError: A split gives nothing to learn.
    """
    given = "learned" in info["ingredients"]
    learned = dict(recipe.learned) if given else learn(recipe.objective, sample, recipe.learned)
    texts = [text for example in sample for text in recipe.objective.texts(example)]
    settings = resolve(recipe.tokenizer, texts)
    tokenizer = make_tokenizer(settings, texts)
    recipe.objective.complete_tokenizer(tokenizer, learned)
    tokenizer.save_pretrained(folder / "tokenizer")
    context = Context(recipe.sequence_length, folder / "tokenizer", learned)
    vars(context)["tokenizer"] = tokenizer  # it need not be loaded again
    info |= {
        "sequence_length": recipe.sequence_length,
        "tokenizer": {"kind": settings.kind, "vocabulary_size": len(tokenizer)},
        "learned": learned,
    }
    for name, examples in splits.items():
        try:
            split_rows = tokenise(name, examples, recipe.objective, context, recipe.packing)
        except InputError as error:
            raise (beyond(learned, error) if given else error) from error
        split_rows.save(folder / name)
        info[name] = split_rows.numbers
        _report(name, split_rows.numbers, recipe.sequence_length)
    write_examples(folder / "validation.jsonl", splits["validation"])
    (folder / "info.json").write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _split(recipe: CorpusRecipe, corpus: Corpus, validation: Corpus | None) -> tuple[dict[str, list[Example]], int]:
    """The examples of each split, and how many empty ones were skipped."""
    if validation is None:
        train, heldout = split(corpus.examples, recipe.validation_fraction, recipe.seed)
        return {"train": train, "validation": heldout}, corpus.skipped
    if shared := overlap(corpus.examples, validation.examples):
        _log.warning("validation corpus: %s also in the training corpus", plural(shared, "text"))
    return {"train": corpus.examples, "validation": validation.examples}, corpus.skipped + validation.skipped


def _report(name: str, numbers: Mapping[str, int | float], sequence_length: int) -> None:
    """Log what did not fit, and refuse a split of which nothing is left."""
    if numbers["examples"] and not numbers["documents"]:
        raise InputError(
            f"none of {plural(numbers['examples'], f'{name} example')} gives a token to learn that fits into "
            f"data.sequence_length {sequence_length}. Raise it, or check the tokenizer."
        )
    longer = f"longer than data.sequence_length {sequence_length}"
    document = f"{name} document"
    if numbers["split"]:
        pieces = plural(numbers["pieces"], "piece")
        _log.info("%s %s, split into %s: nothing is left out", plural(numbers["split"], document), longer, pieces)
    if (cut := numbers["cut"] - numbers["split"]) > 0:
        _log.warning("%s %s, cut: what does not fit is left out, of a prompt first", plural(cut, document), longer)
    if numbers["dropped"]:
        _log.warning(dropped_note(document, int(numbers["dropped"]), sequence_length))


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write one JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        for example in examples:
            file.write(json.dumps(example.plain(), ensure_ascii=False) + "\n")
