"""Settings of the tokenizer in a config."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from aigc.errors import InputError

Kind = Literal["auto", "character", "bpe", "pretrained"]
Unknown = Literal["bytes", "token"]
_SMALLEST_BPE = 256 + 2


@dataclass(frozen=True)
class TokenizerSettings:
    """How text becomes tokens.

    Raises:
        InputError: A value is out of its range.
    """

    kind: Kind = "auto"
    """`character`, `bpe` (byte-level), `pretrained`, or `auto`: character for Chinese, Japanese, Korean, else bpe."""

    path: str | None = None
    """Where a pretrained tokenizer is loaded from: a folder, a name on the Hub, a GGUF file, or `run:RUN`."""

    vocabulary_size: int = 8000
    """How many tokens a bpe tokenizer has at most."""

    min_frequency: int = 2
    """How often a character (or a pair to merge) must occur in the training texts to become a token."""

    unknown: Unknown = "bytes"
    """What a character tokenizer does with a character it has no token for: spell its UTF-8 `bytes`, or one `token`."""

    add_tokens: Sequence[str] = ()
    """Texts that become one token each, wherever they occur."""

    add_special_tokens: Sequence[str] = ()
    """Texts that become one special token each, which only a chat template writes: in data they stay plain text."""

    def __post_init__(self) -> None:
        """Check every value."""
        _check_choice("kind", self.kind, get_args(Kind))
        _check_choice("unknown", self.unknown, get_args(Unknown))
        _check_number("vocabulary_size", self.vocabulary_size, _SMALLEST_BPE)
        _check_number("min_frequency", self.min_frequency, 1)
        _check_texts({"add_tokens": self.add_tokens, "add_special_tokens": self.add_special_tokens})
        if self.path is not None and not isinstance(self.path, str):
            raise InputError(f"data.tokenizer.path is {self.path!r}; allowed: a folder or a name, as a string.")
        if (self.kind == "pretrained") != (self.path is not None):
            raise InputError("data.tokenizer.path goes with data.tokenizer.kind=pretrained: set both or neither.")


def _check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"data.tokenizer.{name} is {value!r}; allowed: {', '.join(allowed)}.")


def _check_texts(lists: Mapping[str, Sequence[str]]) -> None:
    seen: set[str] = set()
    for name, texts in lists.items():
        for text in texts:
            if not isinstance(text, str) or not text.strip():
                raise InputError(f"data.tokenizer.{name} holds {text!r}; allowed: texts that are not empty.")
            if text in seen:
                raise InputError(f"data.tokenizer.{name} holds {text!r}, which is named before; name it once.")
            seen.add(text)


def _check_number(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"data.tokenizer.{name} is {value!r}; allowed: a whole number of at least {least}.")
