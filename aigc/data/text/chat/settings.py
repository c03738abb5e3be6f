"""Settings of conversations in a config."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from aigc.data.text.chat.source import PLAIN_NAME
from aigc.errors import InputError

Learn = Literal["answers", "last_answer"]


@dataclass(frozen=True)
class ChatSettings:
    """How conversations become texts, and what is learned of them.

    Raises:
        InputError: A value is out of its range.
    """

    template: str | None = None
    """A file with a Jinja template, or `plain`, the built-in one; null takes the tokenizer's own, or else `plain`."""

    system: str | None = None
    """System message of conversations that have none."""

    variables: dict[str, str | int | float | bool] | None = None
    """Values that the template reads, such as `{enable_thinking: false}`; they are saved with it."""

    learn: Learn = "answers"
    """What carries loss: all `answers` of the assistant, or the `last_answer` of each conversation."""

    def __post_init__(self) -> None:
        """Check every value."""
        if self.learn not in get_args(Learn):
            raise InputError(f"data.chat.learn is {self.learn!r}; allowed: {', '.join(get_args(Learn))}.")


def check_template(chat: Mapping[str, Any]) -> None:
    """Check before anything is read that the file of a template is there; raises InputError."""
    template = chat.get("template")
    if template not in (None, PLAIN_NAME) and not Path(str(template)).expanduser().is_file():
        raise InputError(f"data.chat.template={template}: no such file; {PLAIN_NAME} is the built-in template")
