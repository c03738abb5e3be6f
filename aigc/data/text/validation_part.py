"""The validation part of a corpus alone, for a model that is measured and not trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aigc.data.text.corpus import Source, read_corpus
from aigc.data.text.prepared import PreparedText, check_unchanged, find_or_prepare, write_splits
from aigc.data.text.recipe import CorpusRecipe
from aigc.data.text.split import split


def prepare_validation(recipe: CorpusRecipe, source: Source, whole: bool, cache: Path) -> PreparedText:
    """Find the validation part in the cache, or make it; no other part is tokenised or packed.

    Args:
        recipe: How the corpus is prepared; `recipe.is_settled`.
        source: The corpus.
        whole: Whether all of it is for validation, rather than the share that `recipe` splits off.
        cache: The folder that holds the entries, under `text/`.

    Raises:
        InputError: The corpus is wrong.
    """
    ingredients = recipe.ingredients() | {
        "corpus": source.fingerprint(),
        "recipe": recipe.settings(),
        "part": "whole" if whole else "split off",
    }
    if recipe.learned:
        ingredients["learned"] = dict(recipe.learned)

    def build(parts: Mapping[str, Any], aside: Path) -> None:
        corpus = read_corpus(source, recipe.layout, recipe.objective)
        heldout = corpus.examples if whole else split(corpus.examples, recipe.validation_fraction, recipe.seed)[1]
        info = {"fingerprint": parts["corpus"], "ingredients": parts, "skipped": corpus.skipped}
        write_splits(recipe, {"validation": heldout}, [], info, aside)
        check_unchanged(source, parts["corpus"])

    return find_or_prepare(cache / "text", ingredients, recipe, build)
