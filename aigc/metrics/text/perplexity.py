"""How well a language model predicts a text, from sums that any batching adds up to."""

import math

import aigc


class Perplexity:
    """Perplexity and bits per byte from summed negative log likelihoods, in float64.

    The likelihood of the end tokens is part of the sum in every score. Perplexity per token depends on the tokenizer;
    the scores per character and per byte do not, and are those to compare models by.

    It is no `TextMetric`: it is fed likelihoods, not texts.
    """

    def __init__(self) -> None:
        self.reset()

    def update(self, nll_sum: float, tokens: int, characters: int, bytes: int) -> None:
        """Add a batch.

        Args:
            nll_sum: Sum of the negative log likelihoods of the target tokens, in nats; compute it in float32 or better.
            tokens: Number of target tokens in that sum, end tokens included.
            characters: Number of characters (code points) of the text the targets stand for.
            bytes: Number of bytes of that text in UTF-8.

        Raises:
            ValueError: A number is negative.
        """
        if min(tokens, characters, bytes) < 0:
            raise ValueError(f"counts must not be negative: {tokens} tokens, {characters} characters, {bytes} bytes")
        self._nll += float(nll_sum)
        self._tokens += int(tokens)
        self._characters += int(characters)
        self._bytes += int(bytes)

    def compute(self) -> dict[str, float]:
        """Return the scores.

        Returns:
            perplexity (per target token), perplexity_per_character, bits_per_byte and bits_per_character; infinity
            where a perplexity exceeds float64, NaN where there is nothing to divide by.
        """
        bits = self._nll / math.log(2.0)
        return {
            "perplexity": _exp(_divide(self._nll, self._tokens)),
            "perplexity_per_character": _exp(_divide(self._nll, self._characters)),
            "bits_per_byte": _divide(bits, self._bytes),
            "bits_per_character": _divide(bits, self._characters),
        }

    def reset(self) -> None:
        """Forget all batches."""
        self._nll = 0.0
        self._tokens = self._characters = self._bytes = 0

    @property
    def signature(self) -> str:
        """How the score is made."""
        return f"weight:token|end:included|sum:float64|version:aigc-{aigc.__version__}"


def _divide(total: float, count: int) -> float:
    return total / count if count else float("nan")


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
