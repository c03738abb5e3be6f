"""Text that is streamed: a data module that reads, tokenises and packs while it trains."""

import hashlib
import json
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, ClassVar

from aigc.config.types import Bound
from aigc.data.base import check_minimum
from aigc.data.preview import Description
from aigc.data.stream_loader import StreamLoader
from aigc.data.text.base import TextModule
from aigc.data.text.examples import Layout
from aigc.data.text.objectives import Causal
from aigc.data.text.prepared import PreparedText
from aigc.data.text.rows import Batch
from aigc.data.text.split import group_of
from aigc.data.text.stream_prepared import StreamRecipe, StreamTokenizer, prepare_stream
from aigc.data.text.stream_rows import StreamRows, StreamRowSettings
from aigc.data.text.streams import Stream, open_stream
from aigc.data.text.tokenised import TokenisedSplit, tokenise
from aigc.distributed.data_rank import data_rank

_SAMPLE = 1000
"""Training documents that are looked at to describe them."""


class StreamedText(TextModule):
    """Text that is read document by document, so that memory does not grow with the corpus.

    Batches are those of `aigc.data.text.TextData`. The first documents are held out
    for validation; nothing that has their text (or prompt) is trained on. Each document is on one rank: ranks take
    whole files if these are of similar sizes and divide evenly; otherwise each reads all files and keeps its share of
    the documents. An epoch ends for all ranks when one has no more; what fills no batch is left out.

    A resumed run continues with the next document, exactly, whatever `num_workers` and `shuffle_buffer`: it reads the
    interrupted file again up to there, without tokenising. With another number of ranks it cannot, which is an error.
    Documents are mixed in blocks and not by the sliding buffer of `datasets`, whose content is not part of any state.

    The fingerprint says what the files are: name and content of those below 1 MiB, name, size and time of the last
    change of larger ones; of `hub:NAME`, the files' addresses with the revision. A large file that was copied without
    its time counts as other data.

    Args:
        path: A .txt, .jsonl, .csv, .tsv or .parquet file, packed as .gz or not, a folder, a pattern like
            `texts/*.jsonl`, `asset:NAME`, or `hub:NAME` (`hub:NAME@REVISION`), of which the split `train` is read. A
            .json file is read, too, but held in memory.
        tokenizer: How text becomes tokens; null is automatic.
        validation_documents: How many documents at the beginning are held out.
        shuffle_buffer: Documents that are mixed with each other, and held in memory; 0 keeps the order in a file.
        shuffle: Whether the files come in another order each epoch, and documents are mixed.
        num_workers: 1 reads, tokenises and packs in a process beside the training process, 0 in it.
        seed: Decides the order together with the epoch.
        shared: Further arguments of `TextModule`.

    Raises:
        InputError: An argument is out of its range.
    """

    split_by: ClassVar = (
        "validation_documents",
        "document",
        "text_column",
        "prompt_column",
        "completion_column",
        "separator",
        "format",
        "chat",
        "objective",
    )
    endless = True
    """The length of an epoch is not known. `aigc.config.fit` refuses to count epochs."""
    early_checks: ClassVar = {
        "format": "aigc.data.text.format_names.check_format",
        "chat": "aigc.data.text.chat.settings.check_template",
        "path": "aigc.data.text.sources.check_path",
    }

    def __init__(
        self,
        path: str,
        *,
        tokenizer: StreamTokenizer | None = None,
        validation_documents: Annotated[int, Bound(0)] = 500,
        shuffle_buffer: Annotated[int, Bound(0)] = 1000,
        shuffle: bool = True,
        num_workers: Annotated[int, Bound(0, 1)] = 0,
        seed: Annotated[int, Bound(0)] = 0,
        **shared: Any,
    ) -> None:
        super().__init__(path, shuffle=shuffle, num_workers=num_workers, seed=seed, **shared)
        check_minimum("validation_documents", validation_documents, 0)
        check_minimum("shuffle_buffer", shuffle_buffer, 0)
        self._recipe = StreamRecipe(
            tokenizer=tokenizer or StreamTokenizer(),
            sequence_length=self.sequence_length,
            packing=self.packing,
            validation_documents=validation_documents,
        )
        self.row_settings = StreamRowSettings(self.packing, shuffle, shuffle_buffer, seed)

    @property
    def recipe(self) -> StreamRecipe:
        """All that decides what is made of the beginning, but the stream."""
        return self._settled(self._recipe)

    @cached_property
    def _opened(self) -> Stream:
        return open_stream(self.path, Layout(), Causal())

    @cached_property
    def stream(self) -> Stream:
        """The corpus."""
        self._opened.read_as(self.reading.layout, self.reading.objective)
        return self._opened

    def _columns(self) -> list[str] | None:
        return self._opened.columns()

    def _prepare(self) -> PreparedText:
        return prepare_stream(self.recipe, self.stream, self.cache, self.only_validation)

    def rows(self, rank: int = 0, world_size: int = 1) -> StreamRows:
        """The training rows of one rank."""
        heldout = frozenset(group_of(example, 0) for example in self.heldout)
        prepared, settings = self.prepared, self.row_settings
        return StreamRows(self.stream, self.objective, prepared.context, settings, heldout, rank, world_size)

    def _splits(self) -> dict[str, TokenisedSplit]:
        """The first training documents, and those for validation."""
        return {"train": self._beginning, **super()._splits()}

    @cached_property
    def _beginning(self) -> TokenisedSplit:
        """The first training documents, tokenised to be described."""
        heldout = {group_of(example, 0) for example in self.heldout}
        others = (one for one in self.stream.examples() if group_of(one, 0) not in heldout)
        first = list(islice(others, _SAMPLE))
        return tokenise("train", first, self.objective, self.prepared.context, self.packing)

    def describe(self) -> Description:
        """Say that numbers of the training split are those of its beginning."""
        known = super().describe()
        return replace(known, facts={**known.facts, "train_documents_read": known.splits["train"]["examples"]})

    def example_rows(self, count: int = 1) -> Batch:
        """The first training rows as a batch, to try a model's forward pass on."""
        batch, _ = next(self.rows().batches(0, count))
        return batch

    def train_dataloader(self) -> StreamLoader:
        """Batches of `batch_size` rows, read as they are asked for."""
        rank, world_size = data_rank()
        batches = self.rows(rank, world_size)
        trainer = self.trainer
        limit = trainer.limit_train_batches if trainer else None
        return StreamLoader(
            lambda epoch, position: batches.batches(epoch, self.batch_size, position),
            {"batch_size": self.batch_size, "seed": self.seed, "shuffle": self.shuffle, "fingerprint": self._content()},
            group=trainer.accumulate_grad_batches if trainer else 1,
            limit=limit if isinstance(limit, int) else None,
            ahead=self.num_workers > 0,
            name=self.path,
            dealing=self.stream.dealing(world_size),
        )

    def _content(self) -> str:
        """A hash of all that decides which rows there are: a position in them means nothing in others."""
        parts = [self.prepared.folder.name, self.row_settings.shuffle_buffer]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
