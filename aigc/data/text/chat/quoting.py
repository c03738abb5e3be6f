"""Special tokens that people spell in their messages: they stay text and end no turn."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from transformers import PreTrainedTokenizerFast

from aigc.data.text.tokenizer import encode, special_ids

_FIRST = 0xF0000
"""The first of the characters without a meaning that stand for quoted tokens while a template is rendered."""


@dataclass(frozen=True)
class Quoting:
    """Marks special tokens in texts, and encodes texts with such marks.

    Args:
        tokenizer: The tokenizer.
    """

    tokenizer: PreTrainedTokenizerFast

    @cached_property
    def special(self) -> tuple[str, ...]:
        """The texts of all special tokens, longer ones first."""
        texts = self.tokenizer.convert_ids_to_tokens(sorted(special_ids(self.tokenizer)))
        return tuple(sorted(texts, key=lambda one: (-len(one), one)))

    def quote(self, text: str) -> str:
        """Return a text with a mark for each special token that is spelled in it."""
        return self._spelled.sub(lambda found: chr(_FIRST + self.special.index(found[0])), text)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of texts: a special token means itself, and its mark the text that spells it."""
        parts = [self._marks.split(text) for text in texts]
        plain = iter(encode(self.tokenizer, [part for several in parts for part in several[::2]], special=True))
        return [self._joined([next(plain) for _ in several[::2]], several[1::2]) for several in parts]

    def _joined(self, plain: list[list[int]], marks: list[str]) -> list[int]:
        if not marks:
            return plain[0]
        quoted = encode(self.tokenizer, [self.special[ord(mark) - _FIRST] for mark in marks])
        return plain[0] + [one for pair in zip(quoted, plain[1:], strict=True) for ids in pair for one in ids]

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self.special)))

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        return re.compile(f"([{chr(_FIRST)}-{chr(_FIRST + max(len(self.special) - 1, 0))}])")
