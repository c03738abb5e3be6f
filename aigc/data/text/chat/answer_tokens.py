"""Special tokens that a chat template writes inside of answers and at their ends, found by showing it answers."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from transformers import PreTrainedTokenizerFast

from aigc.data.text.chat.conversation import ASSISTANT, Message
from aigc.data.text.chat.rendered import Renderer, Segment, Shown
from aigc.data.text.tokenizer import encode, special_ids

_ANSWER = "answer"
_CALL = {"id": "000000001", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
_LIKE_TOKENS = re.compile(r"<\|[^|<>\s]+\|>|</?\w+>|\[/?[A-Z_]+\]")
"""Texts that are special tokens in most templates."""


@dataclass(frozen=True)
class AnswerTokens:
    """The special tokens of answers that a template shows.

    Args:
        template: The template.
        tokenizer: Its tokenizer.
    """

    template: Renderer
    tokenizer: PreTrainedTokenizerFast

    @cached_property
    def end_ids(self) -> list[int]:
        """The ids with which answers and calls of tools end, besides the tokenizer's end token."""
        firsts = [end[0] for _, end in self._ids(self._answers[:1]) if end]
        lasts = [end[-1] for inner, end in self._ids(self._calls) if end and end[-1] not in inner]
        return [one for one in dict.fromkeys(firsts + lasts) if one != self.tokenizer.eos_token_id]

    @cached_property
    def written_ids(self) -> list[int]:
        """The ids of the special tokens that answers hold besides those that end them, such as those of channels."""
        found = {one for parts in self._ids([*self._answers, *self._calls]) for ids in parts for one in ids}
        return sorted(found - {self.tokenizer.eos_token_id, *self.end_ids})

    def check_end(self) -> None:
        """Check that a text with which the template ends answers is a special token.

        Raises:
            ValueError: It is not, so that generation could not end with it.
        """
        for segment in self._answers[:1]:
            after = "" if segment.end else segment.answer.partition(_ANSWER)[2].strip()
            if after:
                add = json.dumps(self._missing(segment.before + after) or [after], ensure_ascii=False).replace(" ", "")
                raise ValueError(
                    f"the chat template ends an answer with {after!r}, which is not a special token of the tokenizer, "
                    f"so that generation would not end there: add it, 'data.tokenizer.add_special_tokens={add}', or "
                    "give as data.chat.template one that ends answers with {{ eos_token }}"
                )

    def _missing(self, text: str) -> list[str]:
        """Return what looks like special tokens in a text and is none."""
        known = {*self.tokenizer.convert_ids_to_tokens(sorted(special_ids(self.tokenizer)))}
        return [one for one in dict.fromkeys(_LIKE_TOKENS.findall(text)) if one not in known]

    @cached_property
    def _answers(self) -> list[Segment]:
        """A text alone, and one with thoughts."""
        return self._shown(_ANSWER, {}, {"reasoning_content": "c", "thinking": "c"})

    @cached_property
    def _calls(self) -> list[Segment]:
        return self._shown("", {"tool_calls": [_CALL]})

    def _shown(self, content: str, *further: dict[str, Any]) -> list[Segment]:
        """Return those of some answers that the template can show."""
        found = []
        for one in further:
            messages = [Message("user", "a"), Message(ASSISTANT, content, True, one)]
            with suppress(ValueError):
                found.append(Shown(self.template, messages, ()).up_to(1).segments[-1])
        return found

    def _ids(self, segments: Sequence[Segment]) -> list[tuple[list[int], list[int]]]:
        """Return the special tokens inside of answers, and those at their ends."""
        special = special_ids(self.tokenizer)
        texts = [text for one in segments for text in (one.said, one.end.lstrip())]
        ids = [[one for one in ids if one in special] for ids in encode(self.tokenizer, texts, special=True)]
        return list(zip(ids[::2], ids[1::2], strict=True))
