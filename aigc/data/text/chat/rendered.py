"""Texts that a chat template makes of a conversation, taken apart into answers and what comes before them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aigc.data.text.chat.conversation import ASSISTANT, Message

_TAIL = 8
"""Characters at the end of an answer that a template must show; some leave out its beginning."""


class Renderer(Protocol):
    """What makes a text of messages."""

    def render(self, messages: Sequence[Message], tools: Sequence[Any] = (), ask: bool = False) -> str:
        """Return the text of messages, with the beginning of an answer where one is asked for."""

    def split_end(self, answer: str) -> tuple[str, str, str]:
        """Return what an answer says, the special tokens that end it, and what the template writes after them."""

    def unquoted(self, text: str) -> str:
        """Return a text as people read it."""


@dataclass(frozen=True)
class Segment:
    """What is between two answers, and the second of these.

    Attributes:
        before: What comes before the answer, with the beginning that generation is given.
        answer: The answer, to the end of the special tokens that follow it at once; empty at the end of a prompt.
        end: Those special tokens, with white space before them.
        index: Which message the answer is; -1 at the end of a prompt.
        begins: Whether nothing comes before the segment.
    """

    before: str
    answer: str
    end: str
    index: int
    begins: bool = False

    @property
    def said(self) -> str:
        """The answer without its end."""
        return self.answer.removesuffix(self.end)


@dataclass(frozen=True)
class Rendered:
    """A conversation up to an answer, or up to where one is asked for.

    Attributes:
        segments: In order.
        rest: White space and special tokens that the template writes after the last answer.
    """

    segments: tuple[Segment, ...]
    rest: str = ""


class Shown:
    """The texts of a conversation up to each message, rendered once."""

    def __init__(self, template: Renderer, messages: Sequence[Message], tools: Sequence[Any]) -> None:
        self.template = template
        self.messages = messages
        self.tools = tools
        self._texts: dict[tuple[int, bool], str] = {}

    def text(self, count: int, ask: bool = False) -> str:
        """Return the text of the first messages, with the beginning of an answer where it is asked for."""
        if (count, ask) not in self._texts:
            self._texts[count, ask] = self.template.render(self.messages[:count], self.tools, ask)
        return self._texts[count, ask]

    def up_to(self, index: int) -> Rendered:
        """Return the text up to and with an answer."""
        asked, said = self.text(index, ask=True), self.text(index + 1)
        if not said.startswith(asked):
            raise ValueError(
                f"the chat template begins message {index + 1}, an answer, otherwise than generation is given it, with "
                f"{_end(asked)!r}; give a template that begins both in the same way as data.chat.template"
            )
        *earlier, last = self.asking(index)
        text, end, rest = self.template.split_end(said[len(asked) :])
        if not text.strip() or self.messages[index].content.strip()[-_TAIL:] not in self.template.unquoted(text):
            raise ValueError(f"the chat template does not show the text of message {index + 1}, an answer")
        return Rendered((*earlier, Segment(last.before, text + end, end, index, last.begins)), rest)

    def asking(self, count: int) -> list[Segment]:
        """Return the answers in the first messages that are still shown as they were written, and the end without one.

        The text after an answer must begin as it did when the answer was written.
        """
        whole = self.text(count, ask=True)
        found: list[Segment] = []
        done = 0
        for index in (index for index in range(count) if self.messages[index].role == ASSISTANT):
            begin, said = self.text(index, ask=True), self.text(index + 1)
            text, end, _ = self.template.split_end(said[len(begin) :])
            if said.startswith(begin) and whole.startswith(begin + text + end) and done <= len(begin):
                found.append(Segment(whole[done : len(begin)], text + end, end, index, done == 0))
                done = len(begin) + len(text) + len(end)
        return [*found, Segment(whole[done:], "", "", -1, done == 0)]


def _end(text: str, most: int = 30) -> str:
    return text if len(text) <= most else f"...{text[-most:]}"
