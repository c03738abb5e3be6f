"""Chat templates of well-known models, as TRL ships them, and a small tokenizer that knows their special tokens."""

import re
from functools import cache
from pathlib import Path

import trl
from transformers import PreTrainedTokenizerFast

from aigc.data.text.chat.conversation import Message, read_message
from aigc.data.text.tokenizer import make_tokenizer
from aigc.data.text.tokenizer_settings import TokenizerSettings

_FOLDER = Path(trl.__file__).parent / "chat_templates"
_SPECIAL = re.compile(r"<\|[^|<>]+\|>|<｜[^｜]+｜>|<\w+_of_turn>|<turn\|>|<\|turn>|\[/?INST\]")
_TEXTS = ["hello world, user and assistant", "the quick brown fox", "你好，世界"] * 10


def source(name: str) -> str:
    return (_FOLDER / f"{name}.jinja").read_text("utf-8")


@cache
def tokenizer(name: str = "", text: str = "") -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with the special tokens of a template of TRL, or of a text, and with it."""
    made = make_tokenizer(TokenizerSettings(kind="bpe", vocabulary_size=400), _TEXTS)
    shown = text or (source(name) if name else "")
    if special := sorted(set(_SPECIAL.findall(shown))):
        made.add_special_tokens({"additional_special_tokens": special})
    made.chat_template = shown or None
    return made


def messages(*texts: str, **last: object) -> tuple[Message, ...]:
    """Messages of the user and the assistant in turn; `last` changes the last one."""
    roles = ("user", "assistant")
    rows: list[dict[str, object]] = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    rows[-1] |= last
    return tuple(read_message(row, number) for number, row in enumerate(rows, 1))
