"""Text for language models: a datamodule that goes from a corpus to batches of packed rows."""

from typing import Annotated, Any, Literal

from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast

from aigc.config.types import Bound
from aigc.data.base import PreparedData, check_minimum
from aigc.data.loader import EpochLoader, unbatched, worker_settings
from aigc.data.text.examples import Example, Layout
from aigc.data.text.prepared import PreparedText, TextRecipe, prepare
from aigc.data.text.rows import Batch, DealtRows, Rows
from aigc.data.text.sources import open_source
from aigc.data.text.tokenizer import TokenizerSettings
from aigc.distributed.data_rank import data_rank
from aigc.errors import InputError


class TextData(PreparedData[PreparedText]):
    """Text for language models.

    Batches are described in `aigc.data.text.rows.Batch`. The training order is a pure function of seed and epoch.

    Args:
        path: Corpus: a .txt, .jsonl, .csv, .tsv or .parquet file, a folder, `asset:NAME`, or a Hub data set's name.
        tokenizer: How text becomes tokens; null is automatic.
        text_column: Column that holds the text; `text` when no column is named.
        prompt_column: Column that holds the prompt, which stands before the completion and carries no loss.
        completion_column: Column that holds the completion, which is learned.
        separator: Text put between prompt and completion; it belongs to the prompt.
        document: What one example of a .txt file is: a line, a paragraph (blank lines between), or the file.
        sequence_length: Longest row in tokens.
        packing: Whether a row may hold several documents, which do not see each other.
        validation_fraction: Share of the distinct texts that is held out, from 0 (none) to below 1.
        validation_path: Corpus for validation, read like `path`; `validation_fraction` is then without effect.
        batch_size: Rows in a batch.
        shuffle: Whether the rows come in random order; otherwise in that of the corpus, each epoch alike.
        num_workers: Processes that build batches beside the training process; 0 builds them in it.
        seed: Decides which texts are held out and in which order the rows come.
        cache: Folder where prepared data are kept and found again.

    Raises:
        InputError: An argument is out of its range.
    """

    def __init__(
        self,
        path: str,
        *,
        tokenizer: TokenizerSettings | None = None,
        text_column: str | None = None,
        prompt_column: str | None = None,
        completion_column: str | None = None,
        separator: str = "",
        document: Literal["line", "paragraph", "file"] = "line",
        sequence_length: Annotated[int, Bound(2)] = 256,
        packing: bool = True,
        validation_fraction: Annotated[float, Bound(0, 0.99)] = 0.1,
        validation_path: str | None = None,
        batch_size: Annotated[int, Bound(1)] = 8,
        shuffle: bool = True,
        num_workers: Annotated[int, Bound(0)] = 0,
        seed: Annotated[int, Bound(0)] = 0,
        cache: str = "~/.cache/aigc",
    ) -> None:
        super().__init__(path, batch_size, shuffle, num_workers, seed, cache)
        check_minimum("sequence_length", sequence_length, 2)
        self.validation_path = validation_path
        self.sequence_length = sequence_length
        self.recipe = TextRecipe(
            layout=Layout(text_column, prompt_column, completion_column, separator, document),
            tokenizer=tokenizer or TokenizerSettings(),
            sequence_length=sequence_length,
            packing=packing,
            validation_fraction=0.0 if validation_path else validation_fraction,
            seed=seed,
        )

    def _prepare(self) -> PreparedText:
        validation = open_source(self.validation_path) if self.validation_path else None
        prepared = prepare(self.recipe, open_source(self.path), validation, self.cache)
        rows = prepared.info["train"]["rows"]
        if rows < self.batch_size:
            raise InputError(
                f"{self.path} gives {rows} training rows of {self.sequence_length} tokens, fewer than data.batch_size "
                f"{self.batch_size}. Lower data.batch_size or data.sequence_length, or give more text."
            )
        return prepared

    @property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer; made from the training texts or pretrained."""
        return self.prepared.tokenizer

    @property
    def heldout(self) -> list[Example]:
        """The validation examples in order."""
        return self.prepared.heldout

    def example_rows(self, count: int = 1) -> Batch:
        """The first training rows as a batch, to try a model's forward pass on."""
        rows = self.prepared.rows("train")
        return rows.__getitems__(range(min(count, len(rows))))

    def train_dataloader(self) -> EpochLoader:
        """Batches of `batch_size` rows; the rows that fill no batch are left out, others in each epoch."""
        return self._training_loader(self.prepared.rows("train"))

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """All validation rows in order, dealt out among the ranks; an empty list without validation."""
        if not self.info["validation"]["rows"]:
            return []
        return validation_loader(self.prepared.rows("validation"), self.batch_size, self.num_workers, self.seed)


def validation_loader(rows: Rows, batch_size: int, num_workers: int, seed: int) -> DataLoader[Batch]:
    """This rank's validation rows in order: each row is on one rank, and all ranks have as many batches."""
    dealt = DealtRows(rows, batch_size, *data_rank())
    return DataLoader(dealt, batch_size=None, collate_fn=unbatched, **worker_settings(num_workers, seed))
