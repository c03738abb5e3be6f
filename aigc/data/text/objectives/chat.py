"""Conversations: the assistant's answers are learned, each from all that a chat template shows before it."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from aigc.data.progress import log_once
from aigc.data.text.chat.conversation import (
    Conversation,
    Message,
    plain_conversation,
    read_conversation,
    with_system,
)
from aigc.data.text.chat.documents import ChatDocument, ChatDocuments
from aigc.data.text.chat.formats import chat_format
from aigc.data.text.chat.settings import Learn
from aigc.data.text.chat.source import PLAIN, PLAIN_NAME, own_template, with_variables
from aigc.data.text.documents import Documents, Table
from aigc.data.text.examples import Example
from aigc.data.text.objectives.base import Context, Encoded
from aigc.data.text.objectives.causal import Causal
from aigc.data.text.packing import Integers
from aigc.data.text.prompts import Prompt
from aigc.files.text import read_text
from aigc.printing import shortened

_SHOWN = 40
"""Characters of a conversation that a message shows."""
_DATE = "date_string"
"""The variable in which templates that show the date look for one first."""
_SHOWS_DATE = (
    "the chat template shows the date of today, so that prompts differ from day to day from those in training; "
    f"data.chat.variables={{{_DATE}: TEXT}} fixes it where the template reads {_DATE}, or else give a template without "
    "strftime_now as data.chat.template"
)


class Chat(Causal):
    """Answers in conversations; what users, tools and the template say carries no loss.

    A document is a conversation up to its last answer that is learned. An answer is learned with the token that ends
    it. Of a conversation that is longer than a row, the oldest turns are left out, then the beginning of the last turn;
    one whose last answer does not fit into a row is dropped.

    Args:
        conversations: How rows hold conversations: messages, sharegpt, alpaca.
        template: A file with a Jinja chat template, or `plain`; None takes the tokenizer's own, or else `plain`.
        system: System message of conversations that have none.
        variables: Values that the template reads.
        learn: What carries loss: all `answers`, or the `last_answer`.
    """

    annotations = ("spans",)
    numbers = ("targets",)
    format = 2
    reads_texts = False
    uses_chat_template = True

    def __init__(
        self,
        conversations: str = "messages",
        template: str | None = None,
        system: str | None = None,
        variables: dict[str, Any] | None = None,
        learn: Learn = "answers",
    ) -> None:
        self.conversations = conversations
        self.template = template
        self.system = system
        self.variables = variables
        self.learn = learn
        self._format = chat_format(conversations)

    def columns(self) -> tuple[str, ...]:
        """Return the columns that the format asks for."""
        return self._format.columns

    def optional_columns(self) -> tuple[str, ...]:
        """Return the columns that the format reads where they are there."""
        return self._format.optional

    def example(self, example: Example) -> Example:
        """Read the conversation; its text is the last answer that is learned, and its prompt all before that answer."""
        row = example.values
        messages = with_system(self._format.messages(row), self.system)
        learned = [index for index, one in enumerate(messages) if one.learned]
        if self.learn == "last_answer" and learned:
            messages = _only(messages, learned[-1])
        conversation = Conversation(messages, tuple(self._format.tools(row)))
        if not learned:
            return Example("")
        last = learned[-1]
        asked = "\n".join(one.content for one in messages[:last] if one.role != "system")
        return Example(_said(messages[last]), asked, plain_conversation(conversation))

    def texts(self, example: Example) -> list[str]:
        """Return the messages with their roles, as `plain` shows them."""
        return [f"{one.role}:\n{one.content}\n" for one in read_conversation(example.values).messages]

    @property
    def learns(self) -> bool:
        """Whether there is a template in a file: the model keeps it as it was."""
        return self.template not in (None, PLAIN_NAME)

    def fit(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the template of the file."""
        return {"template": self._file()} if self.learns else {}

    def complete_tokenizer(self, tokenizer: PreTrainedTokenizerFast, learned: Mapping[str, Any]) -> None:
        """Give the tokenizer the template, which is saved with it."""
        own = own_template(tokenizer) if self.template is None else None
        if not own and self.template is None:
            log_once("the tokenizer has no chat template: the built-in plain one is taken (data.chat.template)")
        source = learned.get("template") or own or PLAIN
        if "strftime_now" in source and _DATE not in (self.variables or {}):
            log_once(_SHOWS_DATE, logging.WARNING)
        tokenizer.chat_template = with_variables(source, self.variables or {})

    def settings(self) -> dict[str, Any]:
        """Add the content of the template's file."""
        settings = super().settings()
        if self.learns and self._path.is_file():
            settings["template"] = hashlib.sha256(self._path.read_bytes()).hexdigest()
        return settings

    def facts(self, context: Context) -> dict[str, Any]:
        """Add whose chat template is used."""
        is_plain = str(context.tokenizer.chat_template).endswith(PLAIN)
        template = self.template if self.learns else PLAIN_NAME if is_plain else "the tokenizer's own"
        return super().facts(context) | {"chat_template": template}

    def encode(self, examples: Sequence[Example], context: Context) -> Iterator[Encoded | None]:
        """Make a document of each conversation, or one of each answer where the template changes earlier ones."""
        context.chat_template.answers.check_end()
        documents = ChatDocuments(context.chat_template, context.sequence_length)
        conversations = [read_conversation(example.values) for example in examples]
        for made in documents.of(conversations, [_name(one) for one in examples]):
            yield from (_encoded(one) for one in made)

    def cut(self, table: Table, context: Context) -> Table:
        """Return the table as it is: `encode` makes no document that is longer than a row."""
        return table

    def targets(self, table: Table) -> Integers:
        """All tokens of answers that are learned."""
        return table.number("targets")

    def learned_tokens(self, documents: Documents) -> NDArray[np.bool_]:
        """Return which tokens are learned, from the lengths of spans that are not and are, in turn."""
        spans = documents.ids["spans"]
        return np.repeat(np.arange(len(spans)) % 2 == 1, spans)

    def question(self, example: Example, context: Context) -> tuple[Prompt, str] | None:
        """Return the messages before the last answer that is learned, and what of that answer is learned."""
        conversation = read_conversation(example.values)
        last = max(index for index, one in enumerate(conversation.messages) if one.learned)
        template, tools = context.chat_template, conversation.tools
        answer = template.answer(conversation.messages[: last + 1], tools)
        return template.prompt(conversation.messages[:last], tools), answer

    def end_ids(self, context: Context) -> list[int]:
        """Return the ids with which the template ends an answer."""
        return context.chat_template.end_ids

    @property
    def _path(self) -> Path:
        return Path(str(self.template)).expanduser()

    def _file(self) -> str:
        path = self._path
        if not path.is_file():
            raise ValueError(f"data.chat.template={self.template}: no such file; {PLAIN_NAME} is the built-in template")
        return read_text(path)


def _only(messages: Sequence[Message], index: int) -> tuple[Message, ...]:
    """Return messages of which one is learned."""
    return tuple(replace(one, learned=at == index) for at, one in enumerate(messages))


def _said(message: Message) -> str:
    """Return what an answer says: its text, or else its calls of tools."""
    calls = message.further.get("tool_calls", [])
    return message.content if message.content.strip() else json.dumps(calls, ensure_ascii=False)


def _name(example: Example) -> str:
    """Name an example in a message."""
    shown = shortened(" ".join(example.prompt.split()), _SHOWN)
    where = f"{example.file}, row" if example.file else "row"
    return f"{where} {example.row} ({shown!r})" if example.row else f"the conversation {shown!r}"


def _encoded(document: ChatDocument | None) -> Encoded | None:
    if document is None:
        return None
    targets = {"targets": sum(document.spans[1::2])}
    ids = {"tokens": document.ids, "spans": document.spans}
    return Encoded(ids, targets, document.learned, document.shortened)
