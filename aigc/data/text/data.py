"""Text that is prepared before training: a data module from a corpus to batches of rows."""

from functools import cached_property
from typing import Annotated, Any, ClassVar

from aigc.config.types import Bound
from aigc.data.loader import EpochLoader
from aigc.data.sampler import EpochSampler
from aigc.data.text.base import TextModule
from aigc.data.text.corpus import Source
from aigc.data.text.packing import Integers
from aigc.data.text.prepared import PreparedText, prepare
from aigc.data.text.recipe import CorpusRecipe
from aigc.data.text.rows import Batch
from aigc.data.text.sources import open_source
from aigc.data.text.tokenizer import TokenizerSettings
from aigc.data.text.validation_part import prepare_validation
from aigc.data.text.validation_sets import prepare_sets
from aigc.errors import InputError
from aigc.printing import plural


class TextData(TextModule):
    """Text that is read, tokenised and packed once, and kept in the cache.

    Batches are made by the objective, see `aigc.data.text.objectives.causal.CausalBatch` for the default. The training
    order is a pure function of seed and epoch.

    Args:
        path: Corpus: a .txt, .jsonl, .json, .csv, .tsv or .parquet file, packed as .gz or not, a folder of such files,
            `asset:NAME`, or a Hub data set's name.
        tokenizer: How text becomes tokens; null is automatic.
        validation_fraction: Share of the distinct texts that is held out, from 0 (none) to below 1.
        validation_path: Corpus for validation, read like `path`; `validation_fraction` is then without effect.
        validation_sets: Further corpora to validate on, by name, read like `path`: values are `val/NAME/perplexity`.
        group_by_length: Put rows of similar lengths into a batch, which saves padding where rows are not packed.
        seed: Decides which texts are held out and in which order the rows come.
        shared: Further arguments of `TextModule`.

    Raises:
        InputError: An argument is out of its range.
    """

    split_by: ClassVar = (
        "validation_fraction",
        "seed",
        "document",
        "text_column",
        "prompt_column",
        "completion_column",
        "separator",
        "format",
        "chat",
        "objective",
    )
    early_checks: ClassVar = {
        "format": "aigc.data.text.format_names.check_format",
        "chat": "aigc.data.text.chat.settings.check_template",
        "path": "aigc.data.text.sources.check_path",
        "validation_path": "aigc.data.text.sources.check_path",
        "validation_sets": "aigc.data.text.validation_sets.check_sets",
    }

    def __init__(
        self,
        path: str,
        *,
        tokenizer: TokenizerSettings | None = None,
        validation_fraction: Annotated[float, Bound(0, 0.99)] = 0.1,
        validation_path: str | None = None,
        validation_sets: dict[str, str] | None = None,
        group_by_length: bool = False,
        seed: Annotated[int, Bound(0)] = 0,
        **shared: Any,
    ) -> None:
        super().__init__(path, seed=seed, **shared)
        if validation_path is not None and not validation_path.strip():
            raise InputError("the path is empty; null holds out a part of data.path")
        if validation_sets and not (validation_path or validation_fraction):
            raise InputError("validation_sets are measured at validations: set validation_path or validation_fraction")
        self.validation_path = validation_path
        self.validation_sets = dict(validation_sets or {})
        if group_by_length and not self.shuffle:
            raise InputError("data.group_by_length changes the order of the rows, and data.shuffle=false keeps it")
        self.group_by_length = group_by_length
        self._recipe = CorpusRecipe(
            tokenizer=tokenizer or TokenizerSettings(),
            sequence_length=self.sequence_length,
            packing=self.packing,
            validation_fraction=0.0 if validation_path else validation_fraction,
            seed=seed,
        )

    @property
    def recipe(self) -> CorpusRecipe:
        """All that decides what is prepared, but the corpus."""
        return self._settled(self._recipe)

    @cached_property
    def _source(self) -> Source:
        return open_source(self.path)

    @cached_property
    def _validation_source(self) -> Source | None:
        return open_source(self.validation_path) if self.validation_path else None

    def _columns(self) -> list[str] | None:
        alone = self._validation_source if self.only_validation else None
        return (alone or self._source).columns()

    def _prepare(self) -> PreparedText:
        prepared = self._prepare_corpus()
        self.further = prepare_sets(self.validation_sets, prepared, self.recipe, self.cache)
        return prepared

    def _prepare_corpus(self) -> PreparedText:
        validation, recipe = self._validation_source, self.recipe
        if self.only_validation and recipe.is_settled:
            return prepare_validation(recipe, validation or self._source, bool(validation), self.cache)
        if self.group_by_length and self.packs:
            raise InputError(
                "data.group_by_length saves padding, and packed rows have almost none; "
                "set it to false, or data.packing=false"
            )
        prepared = prepare(recipe, self._source, validation, self.cache)
        rows = prepared.info["train"]["rows"]
        if rows < self.batch_size:
            raise InputError(
                f"{self.path} gives {plural(rows, 'training row')} of {self.sequence_length} tokens, fewer than "
                "data.batch_size "
                f"{self.batch_size}. Lower data.batch_size or data.sequence_length, or give more text."
            )
        return prepared

    def example_rows(self, count: int = 1) -> Batch:
        """The first training rows as a batch, to try a model's forward pass on."""
        rows = self.prepared.rows("train", self.seed)
        return rows.batch(range(min(count, len(rows))))

    def _order(self, split: str, lengths: Integers) -> Integers:
        """The order of rows in the first epoch, those of similar lengths together where that is asked for."""
        if not (self.group_by_length and split == "train"):
            return super()._order(split, lengths)
        return EpochSampler(len(lengths), self.seed, lengths=lengths, batch=self.batch_size).order()

    def train_dataloader(self) -> EpochLoader:
        """Batches of `batch_size` rows; the rows that fill no batch are left out, others in each epoch."""
        rows = self.prepared.rows("train", self.seed)
        return self._training_loader(rows, lengths=rows.lengths() if self.group_by_length else None)
