"""Chat templates: conversations as segments of token ids, in which the assistant's answers are known.

Templates that come with models seldom mark what the assistant says. It is found by rendering: the text of all messages
before an answer with the beginning that generation is given (`add_generation_prompt`), and the text with the answer.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import Any

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerFast

from aigc.data.text.chat.answer_tokens import AnswerTokens
from aigc.data.text.chat.conversation import ASSISTANT, Message, with_arguments_as_text, without_oldest_turns
from aigc.data.text.chat.quoting import Quoting
from aigc.data.text.chat.rendered import Rendered, Segment, Shown
from aigc.data.text.prompts import Prompt

_FAILURES = (TemplateError, TypeError, KeyError, AttributeError, ValueError)
"""What templates raise that cannot show messages."""
_QUOTED = ("user", "tool")
"""Roles in whose messages special tokens are text."""


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
        shown = [self._shown(one) for one in messages]
        try:
            return self._apply(shown, tools, ask)
        except _FAILURES as error:
            texts = [with_arguments_as_text(one) for one in shown]
            if texts != shown:
                with suppress(*_FAILURES):  # as templates of DeepSeek take the arguments of a call
                    return self._apply(texts, tools, ask)
            raise ValueError(f"the chat template cannot show these messages: {error}") from error

    def _apply(self, messages: list[dict[str, Any]], tools: Sequence[Any], ask: bool) -> str:
        text = self.tokenizer.apply_chat_template(
            messages,
            tools=list(tools) or None,
            chat_template=self.source,
            add_generation_prompt=ask,
            tokenize=False,
        )
        return str(text)

    def _shown(self, message: Message) -> dict[str, Any]:
        """Return a message as the template takes it; no text at the end of a message can end its turn."""
        said, end, rest = ("", message.content, "") if message.role in _QUOTED else (message.content, "", "")
        if message.role == ASSISTANT:
            said, end, rest = self.split_end(message.content)
        return message.shown() | {"content": self._quoting.protect(said) + self._quoting.quote(end + rest)}

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
        shown = Shown(self, messages, tools)
        whole = shown.up_to(learned[-1])
        if {one.index for one in whole.segments} >= {*learned}:
            return [whole]
        return [shown.up_to(index) for index in learned]

    def prompt(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> "ChatPrompt":
        """Return what a model is given to write the next answer: the same ids that come before it in training.

        Raises:
            ValueError: The template cannot show the messages.
        """
        segments = Shown(self, messages, tools).asking(len(messages))
        ids = [one for pair in self.encode(segments) for part in pair for one in part]
        text = messages[-1].content if messages else ""
        return ChatPrompt(text, tuple(ids), self.starts(ids), tuple(messages), tuple(tools), template=self)

    def answer(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> str:
        """Return the last message, an answer, as a model writes it that has learned it: without special tokens.

        Raises:
            ValueError: The template cannot show the messages.
        """
        segments = Shown(self, messages, tools).up_to(len(messages) - 1).segments
        ends = {self.tokenizer.eos_token_id, *self.end_ids}
        ids = [*takewhile(lambda one: one not in ends, self.encode(segments)[-1][1])]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def starts(self, ids: Sequence[int]) -> int:
        """Return how many start tokens ids begin with, none or one."""
        return int(bool(ids) and self.tokenizer.bos_token_id is not None and ids[0] == self.tokenizer.bos_token_id)

    def encode(self, segments: Sequence[Segment]) -> list[tuple[list[int], list[int]]]:
        """Return the ids before each answer and those of the answer.

        The ids before an answer never depend on the answer, as generation does not know it. The start token is the
        template's own: none is added.
        """
        texts = [text for one in segments for text in (one.before, one.before + one.answer)]
        ids = self._quoting.encode(texts, [one.begins for one in segments for _ in range(2)])
        found = []
        for one, before, both in zip(segments, ids[::2], ids[1::2], strict=True):
            joined = both[: len(before)] == before
            found.append((before, both[len(before) :] if joined else self.encode_rest([one.answer])[0]))
        return found

    def encode_rest(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of texts that come after others."""
        return self._quoting.encode(texts, [False] * len(texts))

    def unquoted(self, text: str) -> str:
        """Return a rendered text as people read it."""
        return self._quoting.unquote(text)

    @cached_property
    def answers(self) -> AnswerTokens:
        """What the template writes inside of answers and at their ends."""
        return AnswerTokens(self, self.tokenizer)

    @property
    def end_ids(self) -> list[int]:
        """The ids of the special tokens with which answers and calls of tools end, besides the end token."""
        return self.answers.end_ids

    def split_end(self, answer: str) -> tuple[str, str, str]:
        """Return what an answer says, the special tokens that end it, and what the template writes after them."""
        found = self._ends.search(answer)
        return (answer[: found.start()], found[1], found[2]) if found else (answer, "", "")

    @cached_property
    def _ends(self) -> re.Pattern[str]:
        special = "|".join(map(re.escape, self._quoting.special))
        return re.compile(rf"(\s*(?:{special})+)((?:\s|{special})*)\Z")


@dataclass(frozen=True)
class ChatPrompt(Prompt):
    """A prompt that a template makes of messages; where it is shortened, the oldest turns are left out first."""

    template: ChatTemplate = field(kw_only=True, compare=False, repr=False)
    messages: tuple[Message, ...] = ()
    tools: tuple[Any, ...] = ()

    def shortened(self, most: int) -> list[int]:
        """Return at most so many ids: what comes before the first turn, and turns, the last one cut if it must be."""
        if len(self.ids) <= most:
            return list(self.ids)
        shorter = self
        for messages in without_oldest_turns(self.messages):
            shorter = self.template.prompt(messages, self.tools)
            if len(shorter.ids) <= most:
                break
        return Prompt.shortened(shorter, most)
