"""A conversation: messages with roles, of which the assistant's are learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigc.config.problems import suggest
from aigc.data.text.json_rows import type_name

ASSISTANT = "assistant"
ROLES = ("system", "developer", "user", ASSISTANT, "tool")
_FIRST = ("system", "developer")
_AFTER = {"user": (ASSISTANT, *_FIRST), "tool": (ASSISTANT, "tool"), ASSISTANT: ("user", "tool")}
"""The roles that a message of a role may follow."""
_LOSS = ("loss", "weight")
"""Keys of a message that say whether it is learned, and that no template sees."""


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: One of `ROLES`.
        content: Its text.
        learned: Whether it carries loss; only an assistant's does.
        further: What else a template may show, such as `tool_calls` and `reasoning_content`, in JSON's types.
    """

    role: str
    content: str
    learned: bool = False
    further: Mapping[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """Return the message as templates take it."""
        return {"role": self.role, "content": self.content, **self.further}

    def plain(self) -> dict[str, Any]:
        """Return the message in JSON's types, as `read_message` reads it."""
        return self.shown() | ({"loss": False} if self.role == ASSISTANT and not self.learned else {})

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing, not even a call of a tool."""
        return not self.content.strip() and not self.further.get("tool_calls")


@dataclass(frozen=True)
class Conversation:
    """Messages in an order that can be learned.

    Attributes:
        messages: The messages.
        tools: JSON schemas of the tools that the assistant may call.

    Raises:
        ValueError: A message stands where it cannot, an answer that is learned is empty, or there is none.
    """

    messages: tuple[Message, ...]
    tools: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        """Check the order."""
        before = ""
        for number, one in enumerate(self.messages, 1):
            allowed = ("",) if one.role in _FIRST else _AFTER[one.role] + (("",) if one.role == "user" else ())
            if before not in allowed:
                where = f"after one of {before}" if before else "at the beginning"
                raise ValueError(
                    f"message {number} of the role {one.role} stands {where}; a system message comes first, then user "
                    "and assistant in turn, and tool after the assistant's call"
                )
            if one.learned and one.is_empty:
                raise ValueError(f"message {number}, an answer of the assistant, is empty: correct it, or drop the row")
            before = one.role
        if not any(one.role == ASSISTANT for one in self.messages):
            raise ValueError("no message of the role assistant is in it, so there is no answer to learn")


def read_message(value: Any, number: int, keys: tuple[str, str] = ("role", "content"), **roles: str) -> Message:
    """Return a message from an object of JSON.

    Args:
        value: The object.
        number: Its index in the list, from 1, for messages.
        keys: The keys of its role and its text.
        roles: Other names of roles, with ours.

    Raises:
        ValueError: A key is missing or of a wrong type, or the role is not known.
    """
    where = f"message {number}"
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is {type_name(value)} where an object with {keys[0]!r} and {keys[1]!r} is needed")
    for key in keys:
        if key not in value:
            raise ValueError(f"{where} has no {key!r}; it has {', '.join(map(str, value)) or 'nothing'}")
    named, content = value[keys[0]], _text(value[keys[1]], where, keys[1])
    role = roles.get(named, named) if isinstance(named, str) else None
    if role not in ROLES:
        raise ValueError(f"{where}: {keys[0]!r} is {named!r}; {suggest(str(named), [*roles, *ROLES])}")
    further = {key: one for key, one in value.items() if key not in (*keys, *_LOSS) and one is not None}
    learned = role == ASSISTANT and value.get("loss") is not False and value.get("weight") != 0
    return Message(role, content, learned, further)


def _text(value: Any, where: str, key: str) -> str:
    """Return the text of a message, which may come in parts; null stands beside a call of a tool."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in value):
        value = "".join(str(part.get("text", "")) for part in value)
    if not isinstance(value, str):
        raise ValueError(f"{where}: {key!r} holds {type_name(value)} where a text is needed")
    return value


def read_conversation(values: Mapping[str, Any]) -> Conversation:
    """Return the conversation that `plain_conversation` wrote."""
    messages = [read_message(one, number) for number, one in enumerate(values["messages"], 1)]
    return Conversation(tuple(messages), tuple(values.get("tools") or ()))


def plain_conversation(conversation: Conversation) -> dict[str, Any]:
    """Return a conversation in JSON's types."""
    plain: dict[str, Any] = {"messages": [one.plain() for one in conversation.messages]}
    return plain | ({"tools": list(conversation.tools)} if conversation.tools else {})


def with_system(messages: Sequence[Message], system: str | None) -> tuple[Message, ...]:
    """Return messages with a system message before them where they have none, and there is a text for it."""
    if not system or (messages and messages[0].role in _FIRST):
        return tuple(messages)
    return (Message("system", system), *messages)
