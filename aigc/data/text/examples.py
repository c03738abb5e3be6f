"""Examples, and in which columns of a corpus they are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aigc.errors import InputError

Document = Literal["line", "paragraph", "file"]


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to learn.

    Attributes:
        text: What is learned.
        prompt: What comes before it and carries no loss; empty for plain text.
        values: The values of further columns that an objective asked for, by column.
        row: Which row of the corpus, or of `file`, it is, from 1, for messages; 0 where that is not known.
        file: The file that it is in, for messages; empty where that is not known.
    """

    text: str
    prompt: str = ""
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)
    row: int = field(default=0, compare=False)
    file: str = field(default="", compare=False)

    def plain(self) -> dict[str, Any]:
        """The same in JSON's types."""
        plain: dict[str, Any] = {"prompt": self.prompt, "text": self.text}
        return plain | {"values": dict(self.values)} if self.values else plain


@dataclass(frozen=True)
class Layout:
    """Where the examples of a corpus are: in which columns of a table, or in which units of a text file.

    Attributes:
        text_column: The column of the text; None means `text`.
        prompt_column: The column of the prompt.
        completion_column: The column of the text that follows it.
        separator: The text between the two; it belongs to the prompt.
        document: What one example of a file without columns is.
        further: Columns that an objective reads besides; they may hold anything.
        optional: Such columns that need not be there; their values are None then.
        further_only: Whether the objective reads none but these.

    Raises:
        InputError: The columns contradict each other.
    """

    text_column: str | None = None
    prompt_column: str | None = None
    completion_column: str | None = None
    separator: str = ""
    document: Document = "line"
    further: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    further_only: bool = False

    def __post_init__(self) -> None:
        """Check that the columns do not contradict each other."""
        if self.document not in ("line", "paragraph", "file"):
            raise InputError(f"data.document is '{self.document}'; allowed: line, paragraph, file.")

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that hold strings; `text` if no column is named."""
        if self.further_only:
            return ()
        if self.prompt_column is not None and self.completion_column is not None:
            return self.prompt_column, self.completion_column
        return (self.text_column or "text",)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that must be there."""
        return self.texts + self.further

    def present(self, columns: Collection[str]) -> list[str]:
        """Return the columns that are read of those of a table: all that must be there, and optional ones."""
        return [*self.columns, *(name for name in self.optional if name in columns)]

    def example(self, values: Sequence[Any]) -> Example:
        """The example that `values`, one for each of `columns` and then of `optional`, make up."""
        number = len(self.texts)
        further = dict(zip((*self.further, *self.optional), values[number:], strict=True))
        if number == 0:
            return Example("", values=further)
        if number == 1:
            return Example(values[0], values=further)
        return Example(values[1], values[0] + self.separator, further)

    def check_columns(self, name: str) -> None:
        """Check that no column is asked for, as a corpus without columns needs.

        Args:
            name: The name of the corpus in messages.

        Raises:
            InputError: One is.
        """
        if self.further:
            raise InputError(
                f"{name}: this file has no columns, and data.objective reads {', '.join(self.further)}. "
                "Give a table, for example a .jsonl file."
            )
        if self.text_column is not None or self.prompt_column is not None:
            named = {"text_column": self.text_column, "prompt_column": self.prompt_column}
            named["completion_column"] = self.completion_column
            keys = " ".join(f"data.{key}=null" for key, column in named.items() if column is not None)
            what = f"this file has no columns; set {keys}. data.document says what an example is."
            raise InputError(f"{name}: {what}")
