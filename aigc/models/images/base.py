"""Networks that make images, whatever they are trained by."""

from abc import ABC, abstractmethod

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

    @abstractmethod
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images from latents.

        Args:
            latents: (n, *latent_shape).
            labels: int64 (n,), where there are classes.

        Returns:
            From -1 to 1, of shape (n, channels, resolution, resolution).
        """
