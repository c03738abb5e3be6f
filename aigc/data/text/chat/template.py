"""Chat templates: conversations as segments of token ids, in which the assistant's answers are known.

Templates that come with models seldom mark what the assistant says. It is found by rendering: the text of all messages
before an answer with the beginning that generation is given (`add_generation_prompt`), and the text with the answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerFast

from aigc.data.text.chat.conversation import ASSISTANT, Message
from aigc.data.text.chat.quoting import Quoting
from aigc.data.text.prompts import Prompt
from aigc.data.text.tokenizer import encode

_QUOTED = ("user", "tool")
"""Roles in whose messages special tokens are text."""
_TAIL = 8
"""Characters at the end of an answer that a template must show; some leave out its beginning."""


@dataclass(frozen=True)
class Segment:
    """What is between two answers, and the second of these.

    Attributes:
        before: What comes before the answer, with the beginning that generation is given.
        answer: The answer, to the end of the special tokens that follow it at once; empty at the end of a prompt.
        end: Those special tokens, with white space before them.
        index: Which message the answer is; -1 at the end of a prompt.
    """

    before: str
    answer: str
    end: str
    index: int

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


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template and the tokenizer whose special tokens it shows.

    Args:
        tokenizer: The tokenizer.
        source: The text of the template; None takes that of the tokenizer.

    Raises:
        ValueError: There is no template.
    """

    tokenizer: PreTrainedTokenizerFast
    source: str | None = None

    def __post_init__(self) -> None:
        """Check that there is a template."""
        if self.source is None and not self.tokenizer.chat_template:
            raise ValueError("the tokenizer has no chat template")

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast) -> "ChatTemplate | None":
        """Return the template of a tokenizer; None where it has none."""
        return cls(tokenizer) if tokenizer.chat_template else None

    def render(self, messages: Sequence[Message], tools: Sequence[Any] = (), ask: bool = False) -> str:
        """Return the text of messages.

        Args:
            messages: The messages.
            tools: JSON schemas.
            ask: Whether the beginning of an answer follows, as generation is given it.

        Raises:
            ValueError: The template cannot show them.
        """
        try:
            text = self.tokenizer.apply_chat_template(
                [self._shown(one) for one in messages],
                tools=list(tools) or None,
                chat_template=self.source,
                add_generation_prompt=ask,
                tokenize=False,
            )
        except (TemplateError, TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(f"the chat template cannot show these messages: {error}") from error
        return str(text)

    def _shown(self, message: Message) -> dict[str, Any]:
        """Return a message as the template takes it; what a person or a tool writes cannot end its turn."""
        quoted = self._quoting.quote(message.content) if message.role in _QUOTED else message.content
        return message.shown() | {"content": quoted}

    @cached_property
    def _quoting(self) -> Quoting:
        return Quoting(self.tokenizer)

    def documents(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> list[Rendered]:
        """Return the texts that a conversation is learned from, up to the last answer that is learned.

        It is one text where the template shows an answer in the same way whatever follows. A template that changes
        earlier messages, as those that leave out earlier thoughts, gives a text for each answer that is learned: so
        what is learned is what generation is asked to write.

        Raises:
            ValueError: The template cannot show the conversation, or begins an answer otherwise than it asks for it.
        """
        learned = [index for index, one in enumerate(messages) if one.learned]
        if not learned:
            return []
        shown = _Shown(self, messages, tools)
        whole = shown.up_to(learned[-1])
        if {one.index for one in whole.segments} >= {*learned}:
            return [whole]
        return [shown.up_to(index) for index in learned]

    def prompt(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> Prompt:
        """Return what a model is given to write the next answer: the same ids that come before it in training.

        Raises:
            ValueError: The template cannot show the messages.
        """
        segments = _Shown(self, messages, tools).asking(len(messages))
        ids = [one for pair in self.encode(segments) for part in pair for one in part]
        return Prompt(messages[-1].content if messages else "", tuple(ids), self.starts(ids))

    def starts(self, ids: Sequence[int]) -> int:
        """Return how many start tokens ids begin with, none or one."""
        return int(bool(ids) and self.tokenizer.bos_token_id is not None and ids[0] == self.tokenizer.bos_token_id)

    def encode(self, segments: Sequence[Segment]) -> list[tuple[list[int], list[int]]]:
        """Return the ids before each answer and those of the answer.

        The ids before an answer never depend on the answer, as generation does not know it. The start token is the
        template's own: none is added.
        """
        ids = self._quoting.encode([text for one in segments for text in (one.before, one.before + one.answer)])
        found = []
        for one, before, both in zip(segments, ids[::2], ids[1::2], strict=True):
            joined = both[: len(before)] == before
            found.append((before, both[len(before) :] if joined else self._quoting.encode([one.answer])[0]))
        return found

    @cached_property
    def end_ids(self) -> list[int]:
        """The ids of the special tokens with which answers end, besides the tokenizer's end token."""
        shown = _Shown(self, [Message("user", "a"), Message(ASSISTANT, "b", True)], ())
        try:
            end = shown.up_to(1).segments[-1].end
        except ValueError:
            return []
        first = encode(self.tokenizer, [end.lstrip()], special=True)[0][:1]
        return [one for one in first if one != self.tokenizer.eos_token_id]

    def split_end(self, answer: str) -> tuple[str, str, str]:
        """Return what an answer says, the special tokens that end it, and what the template writes after them."""
        found = self._ends.search(answer)
        return (answer[: found.start()], found[1], found[2]) if found else (answer, "", "")

    @cached_property
    def _ends(self) -> re.Pattern[str]:
        special = "|".join(map(re.escape, self._quoting.special))
        return re.compile(rf"(\s*(?:{special})+)((?:\s|{special})*)\Z")


class _Shown:
    """The texts of a conversation up to each message, rendered once."""

    def __init__(self, template: ChatTemplate, messages: Sequence[Message], tools: Sequence[Any]) -> None:
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
        if not text.strip() or self.messages[index].content.strip()[-_TAIL:] not in text:
            raise ValueError(f"the chat template does not show the text of message {index + 1}, an answer")
        return Rendered((*earlier, Segment(last.before, text + end, end, index)), rest)

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
                found.append(Segment(whole[done : len(begin)], text + end, end, index))
                done = len(begin) + len(text) + len(end)
        return [*found, Segment(whole[done:], "", "", -1)]


def _end(text: str, most: int = 30) -> str:
    return text if len(text) <= most else f"...{text[-most:]}"
