"""The format of ShareGPT: a list of `{"from": ..., "value": ...}`."""

from collections.abc import Mapping
from typing import Any

from aigc.data.text.chat.conversation import Message, read_message
from aigc.data.text.chat.formats.base import ChatFormat, read_list, read_text

_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "observation": "tool",
}


class ShareGPT(ChatFormat):
    """A column `conversations`, whose messages say from whom they are: human, gpt, system, tool, or a role's name."""

    name = "sharegpt"
    columns = ("conversations",)
    optional = ("system", "tools")

    def messages(self, row: Mapping[str, Any]) -> list[Message]:
        """Return the messages of a row, that of the column `system` first."""
        values = read_list(row["conversations"], "conversations")
        keys = ("role", "content") if values and isinstance(values[0], Mapping) and "role" in values[0] else _KEYS
        found = [read_message(one, number, keys, **_ROLES) for number, one in enumerate(values, 1)]
        system = read_text(row.get("system"), "system")
        return [Message("system", system), *found] if system else found


_KEYS = ("from", "value")
FORMAT = ShareGPT()
