"""What a corpus is made of, and where it stands in the corpus's rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aigc.errors import InputError

Document = Literal["line", "paragraph", "file"]


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to learn.

    Attributes:
        text: What is learned.
        prompt: What stands before it and carries no loss; empty for plain text.
    """

    text: str
    prompt: str = ""


@dataclass(frozen=True)
class Layout:
    """Where the examples stand in a corpus: in which columns of a table, or in which units of a text file.

    Raises:
        InputError: The columns contradict each other.
    """

    text_column: str | None = None
    prompt_column: str | None = None
    completion_column: str | None = None
    separator: str = ""
    document: Document = "line"

    def __post_init__(self) -> None:
        """Refuse what has two meanings."""
        if (self.prompt_column is None) != (self.completion_column is None):
            raise InputError("data.prompt_column and data.completion_column belong together: set both or neither.")
        if self.text_column is not None and self.prompt_column is not None:
            raise InputError(
                "Set data.text_column, or data.prompt_column with data.completion_column, not all of them."
            )
        if self.document not in ("line", "paragraph", "file"):
            raise InputError(f"data.document is '{self.document}'; allowed: line, paragraph, file.")

    @property
    def named(self) -> bool:
        """Whether a person named columns."""
        return self.text_column is not None or self.prompt_column is not None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read; `text` when none is named."""
        if self.prompt_column is not None and self.completion_column is not None:
            return self.prompt_column, self.completion_column
        return (self.text_column or "text",)

    def example(self, values: Sequence[str]) -> Example:
        """The example that `values`, one for each of `columns`, make up."""
        if self.prompt_column is None:
            return Example(values[0])
        return Example(values[1], prompt=values[0] + self.separator)
