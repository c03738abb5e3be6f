"""Images of a generator, each of which depends on its own seed and label alone, whatever is made beside it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from aigc.errors import InputError
from aigc.generation.random_state import fixed_random_state
from aigc.metrics.image.path_length import interpolate
from aigc.metrics.image.quantisation import quantise
from aigc.models.images.base import LEAST_TRUNCATION, ImageGenerator
from aigc.models.images.gan.base import StyleGenerator
from aigc.runs import stop


class Source(NamedTuple):
    """What an image is made from."""

    seed: int
    latents: Tensor
    """Of shape (1, ...)."""
    label: Tensor | None
    """int64 of shape (1,)."""
    noise: int
    """Seed of what the generator draws itself while it makes the image."""


class SeededImages:
    """Makes images one at a time: in a batch a network would round otherwise, and its noise would be another one.

    Args:
        generator: Is put into evaluation mode; images are made on the device of its parameters.
        truncation: From 0 to 1, where 1 leaves latents or styles as they are; see `ImageGenerator.latents` and
            `StyleGenerator.truncated`.

    Raises:
        InputError: The truncation is too small for a generator without styles.
    """

    def __init__(self, generator: ImageGenerator, truncation: float = 1.0) -> None:
        self.generator = generator.eval()
        self.truncation = truncation
        self._device = next((value.device for value in generator.state_dict().values()), torch.device("cpu"))
        if not isinstance(generator, StyleGenerator) and truncation < LEAST_TRUNCATION:
            raise InputError(
                f"truncation={truncation:g}: {type(generator).__name__} has no styles to draw to their average, so "
                f"latents are drawn anew until they are small enough; give {LEAST_TRUNCATION:g} to 1"
            )

    def source(self, seed: int, label: int | None = None) -> Source:
        """Draw what an image is made from."""
        chance = torch.Generator().manual_seed(seed)
        styled = isinstance(self.generator, StyleGenerator)
        latents = self.generator.latents(1, chance, 1.0 if styled else self.truncation).to(self._device)
        noise = int(torch.randint(2**62, (), generator=chance))
        return Source(seed, latents, None if label is None else torch.tensor([label], device=self._device), noise)

    def image(self, source: Source) -> Tensor:
        """The image, uint8 of shape (channels, height, width), on the CPU."""
        return self._made(self._start(source), source)

    def images(self, sources: Sequence[Source]) -> Iterator[Tensor]:
        """One image of each."""
        return map(self.image, sources)

    def way(self, sources: Sequence[Source], steps: int, ends: bool = True) -> Iterator[Tensor]:
        """Images on the way from each source to the next: `steps` a way, of which the last one is the next source's.

        Styles go straight, and latents along an arc (Shoemake, 1985), of the label where they start. The generator's
        own noise is that of the first source all the way, as it would flicker.

        Args:
            sources: At least two.
            steps: Images of a way, at least two.
            ends: Whether the last one of each way is made: in an animation the next way begins with it.
        """
        how = "lerp" if isinstance(self.generator, StyleGenerator) else "slerp"
        for source, following in pairwise(sources):
            start, end = self._start(source), self._start(following)
            for step in range(steps if ends else steps - 1):
                between = interpolate(start, end, step / (steps - 1), how)
                yield self._made(between, source._replace(noise=sources[0].noise))

    def mixed(self, rows: Sequence[Source], columns: Sequence[Source], crossover: int | None) -> Iterator[Tensor]:
        """A table of mixed styles (Karras et al., 2019), row by row: coarse ones of the row, fine ones of the column.

        Args:
            rows: Give the styles of the first layers.
            columns: Give those of the others.
            crossover: How many the first layers are; None takes half of all.

        Raises:
            InputError: The generator has no styles, or not so many layers.
        """
        if not isinstance(self.generator, StyleGenerator):
            raise InputError(f"mixing: {type(self.generator).__name__} has no styles to mix; a StyleGAN's has")
        coarse, fine = ([self._start(source) for source in sources] for sources in (rows, columns))
        layers = coarse[0].shape[1]
        first = layers // 2 if crossover is None else crossover
        if not 0 < first < layers:
            raise InputError(f"crossover={first}: the generator has {layers} layers; give 1 to {layers - 1}")
        for source, of_row in zip(rows, coarse, strict=True):
            for of_column in fine:
                yield self._made(torch.cat([of_row[:, :first], of_column[:, first:]], 1), source)

    def _start(self, source: Source) -> Tensor:
        """The latents, or the styles where there are such."""
        if not isinstance(self.generator, StyleGenerator):
            return source.latents
        with torch.no_grad():
            return self.generator.truncated(self.generator.mapping(source.latents, source.label), self.truncation)

    def _made(self, start: Tensor, source: Source) -> Tensor:
        """The image of latents or styles; random states are left as they are."""
        stop.check(" while images were made")
        with fixed_random_state(self._device, source.noise), torch.no_grad():
            if isinstance(self.generator, StyleGenerator):
                images = self.generator.synthesis(start)
            else:
                images = self.generator(start, source.label)
        return quantise(images)[0].cpu()
