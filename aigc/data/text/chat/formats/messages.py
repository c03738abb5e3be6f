"""Lists of messages, as the interfaces of chat models take them."""

from collections.abc import Mapping
from typing import Any

from aigc.data.text.chat.conversation import Message, read_message
from aigc.data.text.chat.formats.base import ChatFormat, read_list


class Messages(ChatFormat):
    """A column `messages` with a list of `{"role": ..., "content": ...}`, itself or as JSON in a text.

    An assistant's message with `"loss": false` or `"weight": 0` is not learned.
    """

    name = "messages"
    columns = ("messages",)
    optional = ("tools",)

    def messages(self, row: Mapping[str, Any]) -> list[Message]:
        """Return the messages of a row."""
        return [read_message(one, number) for number, one in enumerate(read_list(row["messages"], "messages"), 1)]


FORMAT = Messages()
