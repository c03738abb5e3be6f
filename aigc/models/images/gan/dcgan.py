"""Convolutional networks that double or halve images from layer to layer (Radford et al., 2016: DCGAN)."""

from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.config.types import Bound
from aigc.models.images.base import ImageGenerator
from aigc.models.images.gan.base import Discriminator, DiscriminatorOutput, check_resolution
from aigc.models.images.gan.conditioning import ConditionalBatchNorm, Conditioning, Head, JoinedEmbedding
from aigc.models.images.gan.parts import LinearMaps, UpConvolution, initialised, powers_of_two, spectral

_SMALLEST = 4  # feature maps that latents become, and that the discriminator ends with


class DCGANGenerator(ImageGenerator):
    """Batch normalisation, ReLU and a convolution that doubles the size, until the image is there.

    The paper's at 64 x 64 has width=128 and max_width=1024.

    Args:
        resolution: Height and width of the images: 8, 16, 32, 64, 128 or 256.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that images are conditioned on, through latents and normalisation; 0 for none.
        latents: Size of the latent vector.
        width: Feature maps before the last layer; twice as many at each half of the size.
        max_width: Never more of them.
        embedding: Size of the vector of the class that is joined to the latents; 0 leaves classes to normalisation.
        upsampling: A transposed convolution of 4 x 4, or repeated pixels and a convolution of 3 x 3.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        latents: Annotated[int, Bound(1)] = 128,
        width: Annotated[int, Bound(1)] = 64,
        max_width: Annotated[int, Bound(1)] = 512,
        embedding: Annotated[int, Bound(0)] = 128,
        upsampling: Literal["transposed", "nearest"] = "transposed",
    ) -> None:
        check_resolution("a DCGAN generator", resolution, powers_of_two(8, 256))
        super().__init__(resolution, channels, classes)
        self.latent_shape = (latents,)
        widths = _widths(resolution, width, max_width)[::-1]

        def enlarge(inputs: int, outputs: int, bias: bool) -> nn.Module:
            if upsampling == "nearest":
                return initialised(UpConvolution(inputs, outputs, bias), "normal")
            return initialised(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias), "normal")

        # A bias before normalisation would be taken away again.
        self.joined = JoinedEmbedding(classes, embedding)
        self.first = initialised(LinearMaps(latents + self.joined.added, widths[0], _SMALLEST, bias=False), "normal")
        self.norms = nn.ModuleList(ConditionalBatchNorm(features, classes) for features in widths)
        self.layers = nn.ModuleList(enlarge(*pair, bias=False) for pair in pairwise(widths))
        self.layers.append(enlarge(widths[-1], channels, bias=True))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images; see `ImageGenerator`."""
        maps = self.first(self.joined(latents, labels))
        for norm, layer in zip(self.norms, self.layers, strict=True):
            maps = layer(F.relu(norm(maps, labels), inplace=True))
        return torch.tanh(maps.to(latents.dtype))


class DCGANDiscriminator(Discriminator):
    """Convolutions of 4 x 4 that halve the size, down to 4 x 4 pixels, all of whose features go into one output.

    Args:
        resolution: Height and width of the images: 8, 16, 32, 64, 128 or 256.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that it is conditioned on or predicts; 0 for none.
        width: Feature maps of the first layer; twice as many at each half of the size.
        max_width: Never more of them.
        normalisation: Of all weights (spectral), or of the outputs of all layers but the first: over the batch, each
            map by itself (instance), or all maps of an image together (layer).
        conditioning: Use of the classes: projection conditions on them, an auxiliary classifier predicts them.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        width: Annotated[int, Bound(1)] = 64,
        max_width: Annotated[int, Bound(1)] = 512,
        normalisation: Literal["none", "batch", "spectral", "instance", "layer"] = "spectral",
        conditioning: Conditioning = "projection",
    ) -> None:
        check_resolution("a DCGAN discriminator", resolution, powers_of_two(8, 256))
        super().__init__(resolution, channels, classes)
        widths = _widths(resolution, width, max_width)
        on_weights = normalisation == "spectral"
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([channels, *widths]):
            norms = _norm(normalisation, outputs) if layers else []
            convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norms)
            layers += [spectral(initialised(convolution, "normal"), on_weights), *norms]
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.layers = nn.Sequential(*layers)
        self.head = Head(widths[-1] * _SMALLEST**2, classes, conditioning, on_weights, "normal")

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Discriminate images; see `Discriminator`."""
        output: DiscriminatorOutput = self.head(self.layers(images).flatten(1), labels)
        return output


def _widths(resolution: int, width: int, most: int) -> list[int]:
    """Return the numbers of feature maps at half the resolution, at a quarter, and so on."""
    return [min(most, width * resolution // 2 // size) for size in reversed(powers_of_two(_SMALLEST, resolution // 2))]


def _norm(kind: str, features: int) -> list[nn.Module]:
    """Return the layer that normalises feature maps, if there is one."""
    if kind == "batch":
        return [nn.BatchNorm2d(features)]
    if kind == "instance":
        return [nn.InstanceNorm2d(features, affine=True)]
    return [nn.GroupNorm(1, features)] if kind == "layer" else []
