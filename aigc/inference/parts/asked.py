"""What a language model is asked: texts to continue, or conversations to answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aigc.errors import InputError
from aigc.generation.sampling import Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from aigc.data.text.chat.conversation import Message
    from aigc.data.text.chat.template import ChatTemplate
    from aigc.data.text.prompts import Prompt


_SETTINGS = {"text", "system", "separator", "chat", *(one.name for one in fields(Sampling))}
"""Keys of results, and settings: in a row they would be lost, or look as if they had been used."""


@dataclass(frozen=True)
class Asked:
    """A row that is asked for, and the prompt that it became."""

    prompt: "Prompt"
    shown: str
    """What stands before the text where it is printed: the prompt, or nothing before an answer."""
    record: Mapping[str, Any]
    """The row, for results."""


@dataclass(frozen=True)
class Asking:
    """How rows become prompts.

    Args:
        tokenizer: The tokenizer of the model.
        chat: Whether a text is the message of a person, and not a text to continue.
        separator: What follows a text to continue.
        system: System message of conversations that have none.
    """

    tokenizer: "PreTrainedTokenizerFast"
    chat: bool = False
    separator: str = ""
    system: str | None = None

    def asked(self, rows: Sequence[Mapping[str, Any]], source: str = "") -> list[Asked]:
        """Return what is asked in each row: a text in `prompt`, or a list in `messages`; other keys are kept.

        Args:
            rows: The rows.
            source: The file that they are from, for messages; rows are counted from 1.

        Raises:
            InputError: A row has neither or both, a value is of another type, or the template cannot show it.
        """
        return [self._asked(row, f"{source}, row {number}: " if source else "") for number, row in enumerate(rows, 1)]

    def _asked(self, row: Mapping[str, Any], where: str) -> Asked:
        if ("prompt" in row) == ("messages" in row):
            raise InputError(f"{where}give either prompt, a text, or messages, a list of objects with role and content")
        if taken := [name for name in row if name in _SETTINGS]:
            raise InputError(
                f"{where}the key {taken[0]!r} is one of the results and no setting of a row: rename it, or give a "
                f"setting for all rows on the command line; a row has prompt or messages, tools, and keys of your own"
            )
        try:
            if "messages" in row:
                return Asked(self._of_messages(row["messages"], _tools(row)), "", row)
            if not isinstance(row["prompt"], str):
                raise ValueError(f"prompt is {json.dumps(row['prompt'], ensure_ascii=False)} where a text is needed")
            return self._of_text(row["prompt"], row)
        except ValueError as error:
            raise InputError(f"{where}{error}") from error

    def _of_text(self, text: str, row: Mapping[str, Any]) -> Asked:
        from aigc.data.text.chat.conversation import Message
        from aigc.data.text.prompts import text_prompts

        if self.chat:
            return Asked(self._prompt([Message("user", text)], _tools(row)), "", row)
        text = self.separated(text)
        return Asked(text_prompts(self.tokenizer, [text])[0], text, {**row, "prompt": text})

    def separated(self, text: str) -> str:
        """Return a text with the separator; an empty one, without which the model starts by itself, stays empty."""
        return text if not text or text.endswith(self.separator) else text + self.separator

    def _of_messages(self, value: Any, tools: Sequence[Any]) -> "Prompt":
        from aigc.data.text.chat.conversation import read_message
        from aigc.data.text.chat.formats.base import read_list

        found = read_list(value, "messages")
        return self._prompt([read_message(one, number) for number, one in enumerate(found, 1)], tools)

    def _prompt(self, messages: Sequence["Message"], tools: Sequence[Any] = ()) -> "Prompt":
        from aigc.data.text.chat.conversation import ASSISTANT, with_system

        if not messages or messages[-1].role == ASSISTANT:
            raise ValueError("messages must end with one that the assistant answers, as of the role user")
        if self.template is None:
            raise ValueError("the model has no chat template, so it answers no messages: give a prompt, chat=false")
        return self.template.prompt(with_system(messages, self.system), tools)

    @cached_property
    def template(self) -> "ChatTemplate | None":
        """The chat template of the tokenizer, if it has one."""
        from aigc.data.text.chat.template import ChatTemplate

        return ChatTemplate.of(self.tokenizer)


def _tools(row: Mapping[str, Any]) -> list[Any]:
    """Return the tools of a row, which may stand there as JSON in a text, as in training."""
    from aigc.data.text.chat.formats.base import is_empty, read_list

    return [] if is_empty(row.get("tools")) else read_list(row["tools"], "tools")
