"""Sampling from a language model. A field's docstring is its help text."""

from dataclasses import dataclass
from typing import Annotated

from aigc.config.types import Bound
from aigc.errors import InputError


@dataclass(frozen=True)
class OneText:
    """Sampling controls of a single text, named as Transformers names them."""

    temperature: Annotated[float, Bound(0)] = 1.0
    """Divides the logits: below 1 more predictable, above 1 more diverse, 0 always takes the likeliest token."""
    top_k: Annotated[int, Bound(1)] | None = None
    """Choose among the k likeliest tokens only; null allows all."""
    top_p: Annotated[float, Bound(0, 1)] = 1.0
    """Choose among the likeliest tokens that together have this probability."""
    repetition_penalty: Annotated[float, Bound(0.01)] = 1.0
    """Above 1 makes tokens that are already in the text less likely (Keskar et al., 2019)."""
    max_new_tokens: Annotated[int, Bound(1)] | None = None
    """Largest number of new tokens; null fills the model's context."""
    stop: str | list[str] | None = None
    """Text that ends a completion and is left out of it, or a list of such texts: `["\\n","。"]`."""
    seed: Annotated[int, Bound(0, 4294967295)] = 0
    """Same seed, same texts."""

    def __post_init__(self) -> None:
        """Check that each text of `stop` has a character."""
        if "" in self.stops:
            raise InputError("stop: an empty text would end every completion at once; leave it out")

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end a completion."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


@dataclass(frozen=True)
class Sampling(OneText):
    """Sampling controls of several texts for several prompts."""

    num_beams: Annotated[int, Bound(1)] = 1
    """Beams of a beam search; 1 samples."""
    num_samples: Annotated[int, Bound(1)] = 1
    """Texts for each prompt."""
    batch_size: Annotated[int, Bound(1)] = 128
    """Texts generated at the same time."""
