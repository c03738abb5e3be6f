"""Further validation sets, each with a name: corpora that are measured beside the validation part of the data."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from aigc.data.text.prepared import PreparedText
from aigc.data.text.recipe import CorpusRecipe
from aigc.data.text.sources import check_path, open_source
from aigc.data.text.tokenizer import TokenizerSettings
from aigc.data.text.validation_part import prepare_validation
from aigc.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


def check_sets(sets: Mapping[str, str]) -> None:
    """Check the names and the paths of validation sets before anything is read.

    Raises:
        InputError: A name cannot be part of `val/NAME/perplexity`, or there is no such corpus.
    """
    for name, path in sets.items():
        if not _NAME.fullmatch(str(name)):
            raise InputError(f"{name!r} cannot name a set: expected letters, digits, `_`, `-` and `.`")
        try:
            check_path(path)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error


def prepare_sets(
    sets: Mapping[str, str], prepared: PreparedText, recipe: CorpusRecipe, cache: Path
) -> dict[str, PreparedText]:
    """Find validation sets in the cache, or make them, with the tokenizer of the training data.

    Args:
        sets: Paths by name.
        prepared: The training data, or their validation part.
        recipe: How these were prepared.
        cache: The folder that holds the entries, under `text/`.

    Raises:
        InputError: A corpus is wrong, or gives nothing to measure.
    """
    tokenizer = TokenizerSettings(kind="pretrained", path=str(prepared.folder / "tokenizer"))
    settled = replace(recipe, tokenizer=tokenizer, learned=prepared.context.learned)
    found = {}
    for name, path in sets.items():
        try:
            found[name] = prepare_validation(settled, open_source(path), True, cache)
        except InputError as error:
            raise InputError(f"data.validation_sets.{name}: {error}") from error
        if not found[name].info["validation"]["rows"]:
            raise InputError(f"data.validation_sets.{name}: {path} holds nothing to measure")
    return found
