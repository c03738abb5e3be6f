"""Special tokens that people spell in their messages: they stay text and end no turn."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from transformers import PreTrainedTokenizerFast

from aigc.data.text.tokenizer import encode, special_ids

_MARK = "\U000f0000"
"""A character without a meaning that stands, with the one after it, for a text while a template is rendered."""


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
        return self._spelled.sub(lambda found: self._mark(found[0]), text)

    def protect(self, text: str) -> str:
        """Return a text in which special tokens mean themselves, and nothing is read as a mark."""
        return text.replace(_MARK, self._mark(_MARK))

    def unquote(self, text: str) -> str:
        """Return a text with what its marks stand for."""
        return self._marks.sub(lambda found: self._meaning(found[1]), text)

    def encode(self, texts: Sequence[str], begins: Sequence[bool]) -> list[list[int]]:
        """Return the ids of texts: a special token means itself, and its mark the text that spells it.

        Args:
            texts: The texts.
            begins: Whether each begins the input: some tokenizers put a space before the first word of all.
        """
        parts = [self._marks.split(text) for text in texts]
        first = [
            (part, begin and not at)
            for several, begin in zip(parts, begins, strict=True)
            for at, part in enumerate(several[::2])
        ]
        plain = iter(self._plain([part for part, _ in first], [begin for _, begin in first]))
        return [self._joined([next(plain) for _ in several[::2]], several[1::2]) for several in parts]

    def _plain(self, texts: list[str], begins: list[bool]) -> list[list[int]]:
        """Encode texts; those that do not begin the input come after a special token, which is left out again."""
        before = self._before
        ids = encode(
            self.tokenizer,
            [text if begin else before + text for text, begin in zip(texts, begins, strict=True)],
            special=True,
        )
        return [one if begin or not before else one[1:] for one, begin in zip(ids, begins, strict=True)]

    @cached_property
    def _before(self) -> str:
        """A special token for texts to come after; empty where they are encoded in the same way at the beginning."""
        for text in self.special:
            alone, after, spaced = encode(self.tokenizer, ["a", f"{text}a", f"{text}\na"], special=True)
            keeps_space = after != spaced  # some take the white space after them away
            if keeps_space and after[:1] == [self.tokenizer.convert_tokens_to_ids(text)] and after[1:] != alone:
                return text
        return ""

    def _joined(self, plain: list[list[int]], marks: list[str]) -> list[int]:
        if not marks:
            return plain[0]
        quoted = self._as_text([self._meaning(mark) for mark in marks])
        return plain[0] + [one for pair in zip(quoted, plain[1:], strict=True) for ids in pair for one in ids]

    def _as_text(self, texts: list[str]) -> list[list[int]]:
        """Encode what is quoted, which never begins the input."""
        if not self._before:
            return encode(self.tokenizer, texts)
        line, *ids = encode(self.tokenizer, ["\n", *(f"\n{text}" for text in texts)])
        alone = encode(self.tokenizer, texts)
        return [a[len(line) :] if a[: len(line)] == line else b for a, b in zip(ids, alone, strict=True)]

    def _mark(self, text: str) -> str:
        return _MARK + chr(ord(_MARK) + 1 + self._quotable.index(text))

    def _meaning(self, mark: str) -> str:
        return self._quotable[ord(mark) - ord(_MARK) - 1]

    @cached_property
    def _quotable(self) -> tuple[str, ...]:
        return (*self.special, _MARK)

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self._quotable)))

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        return re.compile(f"{_MARK}([{chr(ord(_MARK) + 1)}-{chr(ord(_MARK) + len(self._quotable))}])")
