"""Networks that make images, whatever they are trained by."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from aigc.errors import InputError

LEAST_TRUNCATION = 0.01
"""Of latents: below it drawing them anew until they fit takes too long."""


class ImageGenerator(nn.Module, ABC):
    """Makes images of latents.

    Args:
        resolution: Height and width of the images.
        channels: 1 for grey, 3 for colour.
        classes: How many classes images are conditioned on; 0 for none.

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
            source: What draws; None takes the global generator.
            truncation: Below 1, latents beyond twice this are drawn anew (Brock et al., 2019): truer, less diverse.

        Raises:
            InputError: The truncation is below LEAST_TRUNCATION, where that would hardly end.
        """
        if truncation < LEAST_TRUNCATION:
            raise InputError(
                f"truncation is {truncation:g}; latents are drawn anew until they are small enough: give "
                f"{LEAST_TRUNCATION:g} to 1"
            )
        drawn = torch.randn(count, *self.latent_shape, generator=source)
        if truncation < 1:
            while (beyond := drawn.abs() > 2 * truncation).any():
                drawn[beyond] = torch.randn(int(beyond.sum()), generator=source)
        return drawn

    @abstractmethod
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images.

        Args:
            latents: (n, *latent_shape).
            labels: int64 (n,), where there are classes.

        Returns:
            From -1 to 1, of shape (n, channels, resolution, resolution).
        """
