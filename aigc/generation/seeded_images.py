"""Images of a generator, each of which depends on its own seed and label alone."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from aigc.generation.random_state import fixed_random_state
from aigc.metrics.image.path_length import interpolate
from aigc.metrics.image.quantisation import quantise
from aigc.models.images.base import ImageGenerator
from aigc.runs import stop


class Source(NamedTuple):
    """Latents and label of one image."""

    seed: int
    latents: Tensor
    """Of shape (1, ...)."""
    label: Tensor | None
    """int64 of shape (1,)."""
    noise: int
    """Seed of the generator's own draws."""


class SeededImages:
    """Makes images one at a time: in a batch, rounding and noise would depend on the other images.

    Args:
        generator: It is set to evaluation mode; images are made on the device of its parameters.
        truncation: From 0 to 1, where 1 leaves latents or styles as they are; see `ImageGenerator.latents` and
            `StyleGenerator.truncated`.

    Raises:
        InputError: The truncation is too small for this generator.
    """

    def __init__(self, generator: ImageGenerator, truncation: float = 1.0) -> None:
        self.generator = generator.eval()
        self.truncation = truncation
        self._device = next((value.device for value in generator.state_dict().values()), torch.device("cpu"))
        generator.check_truncation(truncation)

    def source(self, seed: int, label: int | None = None) -> Source:
        """Draw latents for a seed."""
        source = torch.Generator().manual_seed(seed)
        latents = self.generator.seeded_latents(source, self.truncation).to(self._device)
        noise = int(torch.randint(2**62, (), generator=source))
        return Source(seed, latents, None if label is None else torch.tensor([label], device=self._device), noise)

    def image(self, source: Source) -> Tensor:
        """Make an image, uint8 of shape (channels, height, width), on the CPU."""
        return self._made(self._start(source), source)

    def images(self, sources: Sequence[Source]) -> Iterator[Tensor]:
        """Make an image of each source."""
        return map(self.image, sources)

    def interpolated(self, sources: Sequence[Source], steps: int, ends: bool = True) -> Iterator[Tensor]:
        """Make `steps` images from each source to the next, the last of which is that of the next source.

        The generator says how; labels are those of the first end. All have the noise of the first source, which would
        flicker otherwise.

        Args:
            sources: At least two.
            steps: Images from one source to the next, at least two.
            ends: Whether the last of them is made: in an animation, the next interpolation begins with it.
        """
        how = self.generator.interpolation
        for source, following in pairwise(sources):
            start, end = self._start(source), self._start(following)
            for step in range(steps if ends else steps - 1):
                between = interpolate(start, end, step / (steps - 1), how)
                yield self._made(between, source._replace(noise=sources[0].noise))

    def mixed(self, rows: Sequence[Source], columns: Sequence[Source], crossover: int | None) -> Iterator[Tensor]:
        """Make a table of mixed styles (Karras et al., 2019), row by row: coarse ones of the row, fine of the column.

        Args:
            rows: Sources of the styles of the first layers.
            columns: Sources of those of the others.
            crossover: Number of the first layers; None takes half of all.

        Raises:
            InputError: The generator has no styles, or fewer layers.
        """
        coarse, fine = ([self._start(source) for source in sources] for sources in (rows, columns))
        for source, of_row in zip(rows, coarse, strict=True):
            for of_column in fine:
                yield self._made(self.generator.mixed_styles(of_row, of_column, crossover), source)

    def _start(self, source: Source) -> Tensor:
        with torch.no_grad():
            return self.generator.starting_point(source.latents, source.label, self.truncation)

    def _made(self, start: Tensor, source: Source) -> Tensor:
        """Make the image of a starting point; random states are restored."""
        stop.check(" while images were made")
        with fixed_random_state(self._device, source.noise), torch.no_grad():
            images = self.generator.images_from(start, source.label)
        return quantise(images)[0].cpu()
