"""A text while it is written: whole characters, as soon as they are certain."""

from collections.abc import Callable, Sequence

from torch import Tensor
from transformers import PreTrainedTokenizerFast
from transformers.generation.streamers import BaseStreamer

from aigc.generation.decoding import decode_until

_INCOMPLETE = "\ufffd"


class TextStream(BaseStreamer):
    """Takes the tokens of one text from `generate` of Transformers and passes it on in pieces.

    What could still change is kept back: the bytes of a character that is not complete, and the beginning of a text
    that ends the completion. All pieces together are what `decode_until` returns for all tokens; only where invalid
    bytes follow, a tokenizer with byte fallback would take back characters that were shown already.

    Args:
        tokenizer: Decodes the tokens.
        ends: Ids that end the text.
        stops: Texts that end it and are left out of it.
        show: Called with each piece.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, ends: set[int], stops: Sequence[str], show: Callable[[str], None]
    ) -> None:
        self.tokenizer, self.ends, self.stops, self.show = tokenizer, ends, stops, show
        self._ids: list[int] = []
        self._shown = 0
        self._has_prompt = False

    def put(self, value: Tensor) -> None:
        """Take the next token; the first call brings the prompt."""
        if not self._has_prompt:
            self._has_prompt = True
            return
        self._ids += value.flatten().tolist()
        text = self._text()
        self._pass_on(text[: len(text) - self._uncertain(text)])

    def end(self) -> None:
        """Pass on the rest."""
        self._pass_on(self._text())

    def _text(self) -> str:
        return decode_until(self.tokenizer, self._ids, self.ends, self.stops)

    def _pass_on(self, text: str) -> None:
        if len(text) > self._shown:
            self.show(text[self._shown :])
            self._shown = len(text)

    def _uncertain(self, text: str) -> int:
        """Return how many characters at the end may change."""
        whole = text.rstrip(_INCOMPLETE)
        begun = [size for stop in self.stops for size in range(1, len(stop)) if whole.endswith(stop[:size])]
        return len(text) - len(whole) + max(begun, default=0)
