"""A conversation: messages with roles, of which the assistant's are learned."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    if isinstance(calls := further.get("tool_calls"), list):
        further["tool_calls"] = [_with_arguments(one, _as_object) for one in calls]
    learned = [_is_learned(value.get(key), where, key) for key in _LOSS]
    return Message(role, content, role == ASSISTANT and all(learned), further)


def _is_learned(value: Any, where: str, key: str) -> bool:
    """Return what a message says of its loss; one that says nothing is learned."""
    if value is None:
        return True
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    raise ValueError(f"{where}: {key!r} is {json.dumps(value, ensure_ascii=False)}; allowed: true, false, 1, 0")


def with_arguments_as_text(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as templates take it with the arguments of its calls as JSON."""
    if not isinstance(calls := message.get("tool_calls"), list):
        return message
    return message | {"tool_calls": [_with_arguments(one, _as_text) for one in calls]}


def _with_arguments(call: Any, change: Callable[[Any], Any]) -> Any:
    """Return the call of a tool with changed arguments; they stand in it, or in its function."""
    if not isinstance(call, Mapping):
        return call
    if isinstance(call.get("function"), Mapping):
        return {**call, "function": _with_arguments(call["function"], change)}
    return {**call, "arguments": change(call["arguments"])} if "arguments" in call else call


def _as_object(arguments: Any) -> Any:
    """Return arguments as an object, as templates take them, if they are one written as JSON."""
    try:
        found = json.loads(arguments)
    except (TypeError, ValueError):
        return arguments
    return found if isinstance(found, dict) else arguments


def _as_text(arguments: Any) -> Any:
    return json.dumps(arguments, ensure_ascii=False) if isinstance(arguments, dict) else arguments


def _text(value: Any, where: str, key: str) -> str:
    """Return the text of a message, which may come in parts; null stands beside a call of a tool."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in value):
        for number, part in enumerate(value, 1):
            if not isinstance(part.get("text"), str):
                held = type_name(part["text"]) if "text" in part else "nothing"
                raise ValueError(f"{where}: part {number} of {key!r} holds {held} as 'text' where a text is needed")
        value = "".join(part["text"] for part in value)
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


def without_oldest_turns(messages: Sequence[Message], before: int | None = None) -> Iterator[tuple[Message, ...]]:
    """Yield messages with one of the oldest turns of the user left out, with two, and so on; a system message stays.

    Args:
        messages: The messages.
        before: The last turn that is never left out begins before this index; None takes the end.
    """
    turns = [index for index, one in enumerate(messages) if one.role == "user"]
    head = tuple(messages[: turns[0]]) if turns else ()
    for turn in turns[1:]:
        if before is None or turn < before:
            yield (*head, *messages[turn:])
