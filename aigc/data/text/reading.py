"""How the rows of a corpus are read: in which format they are, and what is learned of them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from aigc.data.progress import log_once
from aigc.data.text.chat.formats import chat_formats, recognised
from aigc.data.text.chat.settings import ChatSettings
from aigc.data.text.examples import Document, Layout
from aigc.data.text.format_names import AUTO, PAIRS, TEXT, check_format
from aigc.data.text.objectives import Causal, Chat, Objective
from aigc.errors import InputError

_PAIR = ("prompt", "completion")


@dataclass(frozen=True)
class Reading:
    """What is read of a corpus, and what is learned of it."""

    format: str
    layout: Layout
    objective: Objective


@dataclass(frozen=True)
class ReadingSettings:
    """What a config says of how a corpus is read; see `aigc.data.text.base.TextModule` for each.

    Raises:
        InputError: Values contradict each other.
    """

    format: str = AUTO
    objective: Objective | None = None
    text_column: str | None = None
    prompt_column: str | None = None
    completion_column: str | None = None
    separator: str = ""
    document: Document = "line"
    chat: ChatSettings = field(default_factory=ChatSettings)

    def __post_init__(self) -> None:
        """Check that the values go together."""
        check_format(self.format)
        named = "text_column" if self.text_column is not None else "prompt_column" if self.prompt_column else ""
        if named and self.format not in (AUTO, TEXT if named == "text_column" else PAIRS):
            raise InputError(
                f"data.format={self.format} reads columns of its own, and not data.{named}: set that to null"
            )
        if self.objective is not None and self.format in chat_formats():
            raise InputError(f"data.format={self.format} brings its objective: set data.objective to null")

    def settle(self, name: str, columns: Callable[[], Sequence[str] | None]) -> Reading:
        """Decide how a corpus is read.

        Args:
            name: Its name in messages.
            columns: Returns its columns, None for plain text; called where they decide.
        """
        taken = self.format
        if taken == AUTO:
            taken = self._recognised(name, columns)
        if taken in chat_formats():
            chat = Chat(taken, **asdict(self.chat))
            return Reading(taken, self._layout(chat), chat)
        self._check_no_chat(name, taken)
        objective = self.objective or Causal()
        return Reading(taken, self._layout(objective, taken == PAIRS), objective)

    def _check_no_chat(self, name: str, taken: str) -> None:
        """Check that no setting of conversations would be without effect."""
        unset = ChatSettings()
        for key, value in vars(self.chat).items():
            if value and value != getattr(unset, key):
                allowed = ", ".join(sorted(chat_formats()))
                raise InputError(
                    f"data.chat.{key} is for conversations (data.format {allowed}), and {name} is read as {taken}: set "
                    f"data.chat.{key} to {'null' if getattr(unset, key) is None else getattr(unset, key)}, or name the "
                    "format"
                )

    def _recognised(self, name: str, columns: Callable[[], Sequence[str] | None]) -> str:
        if self.text_column is not None or self.prompt_column is not None or self.objective is not None:
            return PAIRS if self.prompt_column is not None else TEXT
        there = columns() or ()
        chat = recognised(there)
        taken = chat.name if chat else PAIRS if set(_PAIR) <= set(there) else TEXT
        if taken != TEXT:
            by = ", ".join(chat.columns if chat else _PAIR)
            log_once(f"{name}: read as {taken}, for its columns {by} (data.format chooses another format)")
        return taken

    def _layout(self, objective: Objective, pairs: bool = False) -> Layout:
        prompt, completion = (self.prompt_column, self.completion_column)
        return Layout(
            self.text_column,
            _PAIR[0] if pairs and prompt is None else prompt,
            _PAIR[1] if pairs and completion is None else completion,
            self.separator,
            self.document,
            objective.columns(),
            objective.optional_columns(),
            not objective.reads_texts,
        )
