"""What a model is given to write after: a text and all its token ids."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from aigc.data.text.tokenizer import encode


@dataclass(frozen=True)
class Prompt:
    """A prompt as a person reads it and as a model is given it.

    Attributes:
        text: The text, without what a template puts around it.
        ids: All token ids, with the start token or the parts of a chat template.
        kept: How many ids at the beginning stay where a prompt is shortened.
    """

    text: str
    ids: tuple[int, ...]
    kept: int = 0

    def shortened(self, most: int) -> list[int]:
        """Return at most so many ids: the first few, then the end of the prompt."""
        ids = list(self.ids)
        return ids if len(ids) <= most else ids[: self.kept] + ids[len(ids) - max(most - self.kept, 1) :]


def text_prompts(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[Prompt]:
    """Return prompts of plain texts: the start token where the tokenizer has one, and the text.

    An empty text starts a document; without a start token, it begins after the end of another one.
    """
    start = () if tokenizer.bos_token_id is None else (tokenizer.bos_token_id,)
    return [
        Prompt(text, (*start, *ids) or (tokenizer.eos_token_id,), len(start))
        for text, ids in zip(texts, encode(tokenizer, list(texts)), strict=True)
    ]
