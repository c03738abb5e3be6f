"""What data modules of text share: arguments, tokenizer, objective, validation."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast

from aigc.config import build
from aigc.config.types import Bound, Slot
from aigc.data.base import PreparedData, check_minimum
from aigc.data.loader import unbatched, worker_settings
from aigc.data.preview import Description, Sample
from aigc.data.sampler import EpochSampler
from aigc.data.text.chat.settings import ChatSettings
from aigc.data.text.examples import Example
from aigc.data.text.objectives import Objective
from aigc.data.text.packing import Integers
from aigc.data.text.prepared import PreparedText
from aigc.data.text.preview import numbers, samples, shapes, tokenizer_facts
from aigc.data.text.prompts import Prompt
from aigc.data.text.reading import Reading, ReadingSettings
from aigc.data.text.recipe import TextRecipe
from aigc.data.text.rows import Batch, DealtRows
from aigc.data.text.tokenised import TokenisedSplit
from aigc.distributed.data_rank import data_rank
from aigc.errors import InputError

Recipe = TypeVar("Recipe", bound=TextRecipe)


class TextModule(PreparedData[PreparedText]):
    """Text for language models; an objective turns it into batches, see `aigc.data.text.objectives`.

    Args:
        path: The corpus.
        format: How the rows hold what is learned: `text`, `prompt_completion`, or conversations as `messages`,
            `sharegpt` or `alpaca`; `auto` goes by the names of the columns, and by those that are named below.
        objective: What is learned from an example, a `_target_` node of aigc.data.text.objectives; null is next-token
            prediction, of conversations that of the assistant's answers.
        chat: How conversations become texts, and which answers are learned.
        text_column: Column that holds the text; `text` when no column is named.
        prompt_column: Column that holds the prompt, which stands before the completion and carries no loss.
        completion_column: Column that holds the completion, which is learned.
        separator: Text put between prompt and completion, none by default, so that they touch; it belongs to the
            prompt, without loss.
        document: What one example of a .txt file is: a line, a paragraph (blank lines between), or the file.
        sequence_length: Longest row in tokens.
        packing: Whether a row may hold several documents, which do not see each other.
        batch_size: Rows in a batch.
        shuffle: Whether the rows come in random order; otherwise in that of the corpus, the same in each epoch.
        num_workers: Processes that build batches beside the training process; 0 builds them in it.
        seed: Decides the order of the rows, together with the epoch, and everything else that is drawn at random.
        cache: Folder where prepared data are kept and found again.

    Raises:
        InputError: An argument is out of its range.
    """

    holds = "texts"

    often_changed: ClassVar = (
        "path",
        "text_column",
        "document",
        "separator",
        "tokenizer.kind",
        "sequence_length",
        "batch_size",
    )

    def __init__(
        self,
        path: str,
        *,
        format: str = "auto",
        objective: Annotated[dict[str, Any] | None, Slot("aigc.data.text.objectives.Objective")] = None,
        chat: ChatSettings | None = None,
        text_column: str | None = None,
        prompt_column: str | None = None,
        completion_column: str | None = None,
        separator: str = "",
        document: Literal["line", "paragraph", "file"] = "line",
        sequence_length: Annotated[int, Bound(2)] = 256,
        packing: bool = True,
        batch_size: Annotated[int, Bound(1)] = 8,
        shuffle: bool = True,
        num_workers: Annotated[int, Bound(0)] = 0,
        seed: Annotated[int, Bound(0)] = 0,
        cache: str = "~/.cache/aigc",
    ) -> None:
        if completion_column is not None and prompt_column is None:
            raise InputError("data.completion_column needs data.prompt_column: set both or neither")
        if prompt_column is not None and completion_column is None:
            raise InputError("data.prompt_column needs data.completion_column: set both or neither")
        if text_column is not None and prompt_column is not None:
            raise InputError("set data.text_column, or data.prompt_column with data.completion_column, not all of them")
        self.reading_settings = ReadingSettings(
            format,
            None if objective is None else build(objective, Objective, "data.objective"),
            text_column,
            prompt_column,
            completion_column,
            separator,
            document,
            chat or ChatSettings(),
        )
        super().__init__(path, batch_size, shuffle, num_workers, seed, cache)
        check_minimum("sequence_length", sequence_length, 2)
        self.learned: dict[str, Any] = {}
        """What the objective has learned for a model that others have trained; empty to learn it from these data."""
        self.sequence_length = sequence_length
        self.packing = packing
        self.further: dict[str, PreparedText] = {}
        """Validation sets besides the validation part, by name."""

    @abstractmethod
    def _columns(self) -> Sequence[str] | None:
        """The columns of the corpus; None for plain text."""

    @property
    @abstractmethod
    def recipe(self) -> TextRecipe:
        """All that decides what is prepared, but the corpus."""

    def _settled(self, recipe: Recipe) -> Recipe:
        """Return a recipe with how the rows are read, and with what the objective has learned for a model."""
        return replace(recipe, layout=self.reading.layout, objective=self.objective, learned=self.learned)

    @cached_property
    def reading(self) -> Reading:
        """How the rows are read; the corpus may have to be looked into for it."""
        return self.reading_settings.settle(self.path, self._columns)

    @property
    def objective(self) -> Objective:
        """What is learned from an example."""
        return self.reading.objective

    def state_dict(self) -> dict[str, Any]:
        """Return what the objective has learned; checkpoints and model/ hold it. Empty where it learns nothing."""
        learned = dict(self.prepared.context.learned)
        return {"objective": self.objective.name, "learned": learned} if learned else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep what the objective has learned for a model; data that are prepared already are prepared again.

        An objective that learns nothing keeps nothing.

        Raises:
            InputError: The data hold what the model does not know, or their objective is another one.
        """
        if not self.objective.learns or (self._prepared and self.state_dict() == state_dict):
            return
        if state_dict["objective"] != self.objective.name:
            raise InputError(
                f"data.objective: the model was trained with {state_dict['objective']}, and this is "
                f"{self.objective.name}: what that one has learned, such as the numbers of classes, is not for this one"
            )
        self.learned = dict(state_dict["learned"])
        if self._prepared is not None:
            self._prepared = None
            self.prepare_data()

    @property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer; made from training texts or pretrained."""
        return self.prepared.tokenizer

    def _splits(self) -> dict[str, TokenisedSplit]:
        """The splits that are not empty, by name; further validation sets are `validation/NAME`."""
        named: dict[str, tuple[PreparedText, str]] = {one: (self.prepared, one) for one in ("train", "validation")}
        named |= {f"validation/{name}": (prepared, "validation") for name, prepared in self.further.items()}
        return {
            name: TokenisedSplit.load(prepared.folder / part, self.objective, prepared.info[part])
            for name, (prepared, part) in named.items()
            if prepared.info.get(part, {}).get("rows")
        }

    def describe(self) -> Description:
        """Return how the rows are read and tokenised, numbers of each split, and the shapes of a training batch."""
        info, layout, context = self.info, self.reading.layout, self.prepared.context
        columns = self._columns()
        facts: dict[str, Any] = {
            "path": self.path,
            "fingerprint": self.fingerprint,
            "format": self.reading.format,
            "columns": [] if columns is None else layout.present(columns),
            **self.objective.facts(context),
            **tokenizer_facts(self.tokenizer, self.recipe.tokenizer.path or info["tokenizer"]["kind"], self.end_ids),
            "sequence_length": self.sequence_length,
            "packing": self.packs,
            "batch_size": self.batch_size,
        }
        if "skipped" in info:
            facts["rows_without_text"] = info["skipped"]
        splits = {
            name: numbers(one, self.objective, context, self.packs, self.batch_size, partial(self._order, name))
            for name, one in self._splits().items()
        }
        return Description(facts, splits, shapes(self.example_rows(self.batch_size)))

    def _order(self, split: str, lengths: Integers) -> Integers:
        """The order of rows of these lengths in the first epoch."""
        return EpochSampler(len(lengths), self.seed, self.shuffle and split == "train").order()

    def samples(self, split: str, count: int) -> Iterator[Sample]:
        """Yield the first documents of a split, in the order of the data."""
        return samples(self._splits()[split], self.objective, self.prepared.context, count, self.seed)

    def save_beside_model(self, folder: Path) -> None:
        """Write the tokenizer."""
        self.tokenizer.save_pretrained(folder)

    @property
    def model_notes(self) -> dict[str, Any]:
        """How prompts were made in training; model/ holds it, so that generation makes them in the same way."""
        layout = self.reading.layout
        separator = layout.separator if layout.prompt_column is not None else ""
        return {"chat": self.objective.uses_chat_template, "separator": separator}

    @property
    def packs(self) -> bool:
        """Whether a row may hold several documents."""
        return self.packing and self.objective.packs

    @property
    def end_ids(self) -> list[int]:
        """The ids with which a text ends, besides the tokenizer's end token."""
        return self.objective.end_ids(self.prepared.context)

    @property
    def heldout(self) -> list[Example]:
        """The validation examples in order."""
        return self.prepared.heldout

    def question(self, example: Example) -> tuple[Prompt, str] | None:
        """Return what a held-out example asks a model to answer, and the true answer; None without a prompt."""
        return self.objective.question(example, self.prepared.context)

    @abstractmethod
    def example_rows(self, count: int = 1) -> Batch:
        """The first training rows as a batch, to try a model's forward pass on."""

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """All validation rows in order, dealt out among the ranks; an empty list without validation.

        Each row is on one rank, and all ranks have as many batches.
        """
        return self._validation_loader(self.prepared) if self.info["validation"]["rows"] else []

    def further_validation(self) -> Iterator[tuple[str, dict[str, float], DataLoader[Batch]]]:
        """Yield name, numbers and rows of each further validation set, dealt out as those of `val_dataloader`."""
        for name, prepared in self.further.items():
            yield name, prepared.info["validation"], self._validation_loader(prepared)

    def _validation_loader(self, prepared: PreparedText) -> DataLoader[Batch]:
        dealt = DealtRows(prepared.rows("validation", self.seed), self.batch_size, *data_rank())
        settings = worker_settings(self.num_workers, self.seed)
        return DataLoader(dealt, batch_size=None, collate_fn=unbatched, **settings)
