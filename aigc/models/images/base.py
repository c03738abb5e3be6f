"""Networks that make images, whatever they are trained by."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from aigc.errors import InputError

LEAST_TRUNCATION = 0.01
"""The smallest truncation of latents; below it, drawing them again until they fit takes too long."""


class ImageGenerator(nn.Module, ABC):
    """A network that makes images of latents.

    Args:
        resolution: Height and width of the images.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that images are conditioned on; 0 for none.

    Attributes:
        latent_shape: Shape of the latents of one image.
    """

    latent_shape: tuple[int, ...]
    interpolation: ClassVar[Literal["lerp", "slerp"]] = "slerp"
    """How the starting points of two images are interpolated: latents along an arc (Shoemake, 1985)."""

    def __init__(self, resolution: int, channels: int, classes: int = 0) -> None:
        super().__init__()
        self.resolution = resolution
        self.channels = channels
        self.classes = classes

    def latents(self, count: int, source: torch.Generator | None = None, truncation: float = 1.0) -> Tensor:
        """Draw standard normal latents on the CPU, float32 of shape (count, *latent_shape).

        Args:
            count: How many.
            source: The generator to draw from; None takes the global one.
            truncation: Below 1, latents beyond twice this value are drawn again (Brock et al., 2019): more
                realistic and less diverse images.

        Raises:
            InputError: The truncation is below LEAST_TRUNCATION, where that would take too long.
        """
        if truncation < LEAST_TRUNCATION:
            raise InputError(
                f"truncation is {truncation:g}; latents are drawn again until they are small enough: give "
                f"{LEAST_TRUNCATION:g} to 1"
            )
        drawn = torch.randn(count, *self.latent_shape, generator=source)
        if truncation < 1:
            while (beyond := drawn.abs() > 2 * truncation).any():
                drawn[beyond] = torch.randn(int(beyond.sum()), generator=source)
        return drawn

    def seeded_latents(self, source: torch.Generator, truncation: float) -> Tensor:
        """Draw the latents of one image, truncated where latents are what is truncated; see `latents`."""
        return self.latents(1, source, truncation)

    def starting_point(self, latents: Tensor, labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """Return what an image is made of and what is interpolated: by default the latents as they are."""
        return latents

    def images_from(self, point: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images of what `starting_point` returned, as `forward`."""
        images: Tensor = self(point, labels)
        return images

    def mixed_styles(self, coarse: Tensor, fine: Tensor, crossover: int | None) -> Tensor:
        """Mix two starting points (Karras et al., 2019).

        Args:
            coarse: It gives the styles of the first layers.
            fine: It gives those of the others.
            crossover: Number of the first layers; None takes half of all.

        Raises:
            InputError: The generator has no styles, or fewer layers.
        """
        raise InputError(f"mixing: {type(self).__name__} has no styles to mix; a StyleGAN's has")

    def check_truncation(self, truncation: float) -> None:
        """Check that images can be truncated so far.

        Raises:
            InputError: Latents would have to be drawn again too often.
        """
        if truncation < LEAST_TRUNCATION:
            raise InputError(
                f"truncation={truncation:g}: {type(self).__name__} has no styles to move to their average, so latents "
                f"are redrawn until they are small enough; give {LEAST_TRUNCATION:g} to 1"
            )

    @abstractmethod
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images from latents.

        Args:
            latents: (n, *latent_shape).
            labels: int64 (n,), where there are classes.

        Returns:
            From -1 to 1, of shape (n, channels, resolution, resolution).
        """
