"""Fully connected networks: the first GAN (Goodfellow et al., 2014), for images of any size."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn

from aigc.config.types import Bound
from aigc.models.images.base import ImageGenerator
from aigc.models.images.gan.base import Discriminator, DiscriminatorOutput
from aigc.models.images.gan.conditioning import Conditioning, Head, JoinedEmbedding
from aigc.models.images.gan.parts import initialised, spectral


class MLPGenerator(ImageGenerator):
    """Layers that are each connected with all of the one before, from latents and class to the image.

    Args:
        resolution: Height and width of the images, any.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that images are conditioned on; 0 for none.
        latents: Size of the latent vector.
        widths: Sizes of the layers between it and the image.
        embedding: Size of the vector of the class that is joined to the latents.
        batch_norm: Normalise the layers over the batch.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        latents: Annotated[int, Bound(1)] = 128,
        widths: Sequence[Annotated[int, Bound(1)]] = (256, 512, 1024),
        embedding: Annotated[int, Bound(1)] = 128,
        batch_norm: bool = True,
    ) -> None:
        super().__init__(resolution, channels, classes)
        self.latent_shape = (latents,)
        self.joined = JoinedEmbedding(classes, embedding)
        layers: list[nn.Module] = []
        sizes = [latents + self.joined.added, *widths]
        for inputs, outputs in pairwise(sizes):
            layers.append(initialised(nn.Linear(inputs, outputs)))
            layers += [nn.BatchNorm1d(outputs)] if batch_norm else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        layers.append(initialised(nn.Linear(sizes[-1], channels * resolution**2)))
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images; see `ImageGenerator`."""
        made: Tensor = self.layers(self.joined(latents, labels)).to(latents.dtype)
        return torch.tanh(made).view(-1, self.channels, self.resolution, self.resolution)


class MLPDiscriminator(Discriminator):
    """Layers that are each connected with all of the one before.

    Args:
        resolution: Height and width of the images, any.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that it is conditioned on or predicts; 0 for none.
        widths: Sizes of the hidden layers.
        dropout: Share of the numbers that each layer loses in training.
        spectral_norm: Divide weights by their largest singular value.
        conditioning: Use of the classes: projection conditions on them, an auxiliary classifier predicts them.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        widths: Sequence[Annotated[int, Bound(1)]] = (512, 256),
        dropout: Annotated[float, Bound(0, 1)] = 0.3,
        spectral_norm: bool = False,
        conditioning: Conditioning = "projection",
    ) -> None:
        super().__init__(resolution, channels, classes)
        layers: list[nn.Module] = []
        sizes = [channels * resolution**2, *widths]
        for inputs, outputs in pairwise(sizes):
            layers.append(spectral(initialised(nn.Linear(inputs, outputs)), spectral_norm))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            layers += [nn.Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*layers)
        self.head = Head(sizes[-1], classes, conditioning, spectral_norm)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Discriminate images; see `Discriminator`."""
        output: DiscriminatorOutput = self.head(self.layers(images.flatten(1)), labels)
        return output
