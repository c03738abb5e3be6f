"""What formats of conversations share."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from aigc.data.text.chat.conversation import Message
from aigc.data.text.formats.base import is_null
from aigc.data.text.json_rows import type_name


class ChatFormat(ABC):
    """A way in which the columns of a row hold a conversation.

    Attributes:
        name: What `data.format` calls it.
        columns: Columns by which it is recognised; all must be there.
        optional: Further columns that are read where they are there.
    """

    name: str
    columns: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @abstractmethod
    def messages(self, row: Mapping[str, Any]) -> list[Message]:
        """Return the messages of a row.

        Args:
            row: The values of all columns; None where an optional one is not there.

        Raises:
            ValueError: A value cannot be used.
        """

    def tools(self, row: Mapping[str, Any]) -> list[Any]:
        """Return the JSON schemas of the tools that the assistant may call."""
        return [] if is_empty(row.get("tools")) else read_list(row["tools"], "tools")


def read_list(value: Any, column: str) -> list[Any]:
    """Return the list that a column holds, itself or as JSON in a text.

    Raises:
        ValueError: It holds something else.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"the column {column!r} holds a text that is not JSON: {error}") from error
    if not isinstance(value, list):
        raise ValueError(f"the column {column!r} holds {type_name(value)} where a list is needed")
    return value


def read_text(value: Any, column: str) -> str:
    """Return the text of a column; empty where there is none.

    Raises:
        ValueError: It holds something else.
    """
    if is_empty(value):
        return ""
    if not isinstance(value, str):
        raise ValueError(f"the column {column!r} holds {type_name(value)} where a text is needed")
    return value


def is_empty(value: Any) -> bool:
    """Return whether a column holds nothing: null, or an empty text."""
    return is_null(value) or value == ""
