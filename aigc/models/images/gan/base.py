"""The base classes of generators with styles and of discriminators."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aigc.errors import InputError
from aigc.models.images.base import ImageGenerator
from aigc.printing import plural


class DiscriminatorOutput(NamedTuple):
    """The output of a discriminator for n images; higher logits mean more real."""

    logits: Tensor
    """Of each image, (n,)."""
    pixels: Tensor | None = None
    """Of each of its pixels, (n, height, width): a U-Net's."""
    classes: Tensor | None = None
    """Logits of its classes, (n, classes): an auxiliary classifier's."""

    def per_image(self) -> Tensor:
        """Return the logit of each image plus the mean logit of its pixels, (n,); penalties differentiate it."""
        return self.logits if self.pixels is None else self.logits + self.pixels.flatten(1).mean(1)


class StyleGenerator(ImageGenerator):
    """A generator that first maps latents to styles, one for each of its layers.

    Attributes:
        average_style: Moving average of all styles, (width,); a registered buffer.
    """

    average_style: Tensor
    interpolation = "lerp"

    @abstractmethod
    def mapping(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents to styles, (n, layers, width)."""

    @abstractmethod
    def synthesis(self, styles: Tensor) -> Tensor:
        """Make images of styles, as `forward`."""

    def truncated(self, styles: Tensor, truncation: float) -> Tensor:
        """Truncate styles towards the average one (Karras et al., 2019): w' = average + truncation * (w - average)."""
        return self.average_style.lerp(styles, truncation)

    def seeded_latents(self, source: torch.Generator, truncation: float) -> Tensor:
        """Draw latents as they are, as styles are truncated."""
        return self.latents(1, source)

    def check_truncation(self, truncation: float) -> None:
        """Styles can be moved to their average as far as it is asked for."""

    def starting_point(self, latents: Tensor, labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """Return truncated styles."""
        return self.truncated(self.mapping(latents, labels), truncation)

    def images_from(self, point: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images of styles."""
        return self.synthesis(point)

    def mixed_styles(self, coarse: Tensor, fine: Tensor, crossover: int | None) -> Tensor:
        """Take the styles of the first layers from one image, and the others from another; see `ImageGenerator`."""
        layers = coarse.shape[1]
        first = layers // 2 if crossover is None else crossover
        if not 0 < first < layers:
            raise InputError(f"crossover={first}: the generator has {plural(layers, 'layer')}; give 1 to {layers - 1}")
        return torch.cat([coarse[:, :first], fine[:, first:]], 1)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images; see `ImageGenerator`."""
        return self.synthesis(self.mapping(latents, labels))


class Discriminator(nn.Module, ABC):
    """Discriminates real images from generated ones.

    Args:
        resolution: Height and width of the images.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that it is conditioned on or predicts; 0 for none.
    """

    def __init__(self, resolution: int, channels: int, classes: int = 0) -> None:
        super().__init__()
        self.resolution = resolution
        self.channels = channels
        self.classes = classes

    @abstractmethod
    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Discriminate images, (n, channels, resolution, resolution) from -1 to 1; labels as of `ImageGenerator`."""

    @property
    def normalises_batches(self) -> bool:
        """Whether it holds batch normalisation, whose running statistics a gradient penalty cannot go through."""
        return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in self.modules())

    @property
    def mixes_samples(self) -> bool:
        """Whether the output for an image depends on others of its batch; real and fake images then go separately."""
        return self.normalises_batches or any(isinstance(module, MixesSamples) for module in self.modules())


class MixesSamples:
    """Marks a layer whose output for one sample depends on the others of the batch: minibatch standard deviation."""


def check_resolution(network: str, resolution: int, allowed: Iterable[int]) -> None:
    """Check that a network can work at a resolution.

    Args:
        network: Its name in messages.
        resolution: Height and width of the images.
        allowed: The resolutions that it works at, in rising order.

    Raises:
        InputError: It cannot; the message lists the allowed resolutions.
    """
    choices = list(allowed)
    if resolution not in choices:
        nearest = min(choices, key=lambda one: (abs(one - resolution), one))
        raise InputError(
            f"{network} cannot work with images of {resolution} x {resolution} pixels; it can with "
            f"{', '.join(map(str, choices))}. Set data.resolution={nearest}, to which the images are scaled."
        )
