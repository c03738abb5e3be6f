"""The format of Stanford Alpaca: an instruction, an input for it, and the output."""

from collections.abc import Mapping
from typing import Any

from aigc.data.text.chat.conversation import ASSISTANT, Message
from aigc.data.text.chat.formats.base import ChatFormat, is_empty, read_list, read_text


class Alpaca(ChatFormat):
    """Columns `instruction` and `output`; the instruction, and the `input` in a line of its own, are the user's.

    `history` holds earlier turns as pairs of what the user and the assistant said, which are learned, too.
    """

    name = "alpaca"
    columns = ("instruction", "output")
    optional = ("input", "system", "history")

    def messages(self, row: Mapping[str, Any]) -> list[Message]:
        """Return the messages of a row."""
        texts = {name: read_text(row.get(name), name) for name in ("system", "instruction", "input", "output")}
        asked = "\n".join(text for text in (texts["instruction"], texts["input"]) if text)
        turns = [*_history(row.get("history")), (asked, texts["output"])]
        found = [one for turn in turns for one in (Message("user", turn[0]), Message(ASSISTANT, turn[1], True))]
        return [Message("system", texts["system"]), *found] if texts["system"] else found


def _history(value: Any) -> list[tuple[str, str]]:
    pairs = [] if is_empty(value) else read_list(value, "history")
    for number, pair in enumerate(pairs, 1):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise ValueError(f"the column 'history': item {number} is not a pair of texts, [user, assistant]")
    return [(pair[0], pair[1]) for pair in pairs]


FORMAT = Alpaca()
