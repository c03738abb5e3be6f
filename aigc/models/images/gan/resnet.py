"""Residual networks with and without classes and self-attention: WGAN-GP, SNGAN and SAGAN."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.config.types import Bound
from aigc.models.images.base import ImageGenerator
from aigc.models.images.gan.attention import SelfAttention, check_attention
from aigc.models.images.gan.base import Discriminator, DiscriminatorOutput, check_resolution
from aigc.models.images.gan.conditioning import ConditionalBatchNorm, Conditioning, Head, JoinedEmbedding
from aigc.models.images.gan.parts import DownConvolution, LinearMaps, UpConvolution, initialised, spectral, upsampled

# Feature maps by resolution, from the first layer on (Miyato et al., 2018; at 64 the code of Miyato and Koyama, 2018).
_GENERATOR = {
    32: (256, 256, 256, 256),
    48: (512, 256, 128, 64),
    64: (1024, 512, 256, 128, 64),
    128: (1024, 1024, 512, 256, 128, 64),
}
# The same after each block, and how many of the blocks halve the size.
_DISCRIMINATOR = {
    32: ((128, 128, 128, 128), 2),
    48: ((64, 128, 256, 512, 1024), 4),
    64: ((64, 128, 256, 512, 1024), 5),
    128: ((64, 128, 256, 512, 1024, 1024), 5),
}
_RELU_GAIN = 2**0.5


class UpBlock(nn.Module):
    """Twice normalisation, ReLU and a convolution of 3 x 3, the first of which doubles the size, beside a shortcut.

    Args:
        inputs: Number of input feature maps.
        outputs: Feature maps that go out.
        classes: How many classes normalisation depends on.
        spectral_norm: Normalise all weights.
        attention: Let pixels attend to one another in the end.
    """

    def __init__(self, inputs: int, outputs: int, classes: int, spectral_norm: bool, attention: bool) -> None:
        super().__init__()
        self.first_norm = ConditionalBatchNorm(inputs, classes)
        self.first = spectral(initialised(UpConvolution(inputs, outputs), gain=_RELU_GAIN), spectral_norm)
        self.second_norm = ConditionalBatchNorm(outputs, classes)
        second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.second = spectral(initialised(second, gain=_RELU_GAIN), spectral_norm)
        self.shortcut = spectral(initialised(nn.Conv2d(inputs, outputs, 1)), spectral_norm)
        self.attention = SelfAttention(outputs, spectral_norm) if attention else nn.Identity()

    def forward(self, maps: Tensor, labels: Tensor | None) -> Tensor:
        """Map (n, inputs, height, width) to (n, outputs, 2 height, 2 width)."""
        inner = self.first(F.relu(self.first_norm(maps, labels), inplace=True))
        inner = self.second(F.relu(self.second_norm(inner, labels), inplace=True))
        # A convolution of 1 x 1 gives the same before the pixels are repeated, at a quarter of the cost.
        out: Tensor = self.attention(inner + upsampled(self.shortcut(maps)))
        return out


class DownBlock(nn.Module):
    """Twice normalisation, ReLU and a convolution of 3 x 3, the second of which may halve the size, beside a shortcut.

    Args:
        inputs: Number of input feature maps, or channels of the image.
        outputs: Feature maps that go out.
        first: It gets the image, which is convolved as it is.
        down: Halve the size.
        layer_norm: Normalise all maps of an image together.
        spectral_norm: Normalise all weights.
        attention: Let pixels attend to one another in the end.
    """

    def __init__(
        self, inputs: int, outputs: int, *, first: bool, down: bool, layer_norm: bool, spectral_norm: bool,
        attention: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        inner = outputs if first else inputs
        convolve = DownConvolution(inner, outputs) if down else nn.Conv2d(inner, outputs, 3, padding=1)
        self.starts = nn.Identity() if first else _normalised_relu(inputs, layer_norm)
        self.first = spectral(initialised(nn.Conv2d(inputs, inner, 3, padding=1), gain=_RELU_GAIN), spectral_norm)
        self.between = _normalised_relu(inner, layer_norm, inplace=True)
        self.second = spectral(initialised(convolve, gain=_RELU_GAIN), spectral_norm)
        changes = down or inputs != outputs
        shortcut = spectral(initialised(nn.Conv2d(inputs, outputs, 1)), spectral_norm) if changes else nn.Identity()
        # Pixels are averaged before a convolution of 1 x 1: the same at a quarter of the cost.
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), shortcut) if down else shortcut
        self.attention = SelfAttention(outputs, spectral_norm) if attention else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, inputs, height, width) to (n, outputs, ...), of the same or half the height and width."""
        inner = self.second(self.between(self.first(self.starts(maps))))
        out: Tensor = self.attention(inner + self.shortcut(maps))
        return out


class ResNetGenerator(ImageGenerator):
    """Residual blocks that double the size, as in WGAN-GP (Gulrajani et al., 2017) and SNGAN (Miyato et al., 2018).

    With spectral normalisation and attention it is SAGAN's (Zhang et al., 2019).

    Args:
        resolution: Height and width of the images: 32, 48, 64 or 128.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that images are conditioned on, through latents and normalisation; 0 for none.
        latents: Size of the latent vector.
        embedding: Size of the vector of the class that is joined to the latents; 0, as in the papers, leaves classes to
            normalisation, which takes many more steps to tell them apart.
        width: Feature maps of the widest layer; null is SNGAN's: 256 at 32, 512 at 48, else 1024. WGAN-GP has 128.
        attention_at: Height of the feature maps that attend to themselves; null for none.
        spectral_norm: Divide weights by their largest singular value.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        latents: Annotated[int, Bound(1)] = 128,
        embedding: Annotated[int, Bound(0)] = 128,
        width: Annotated[int, Bound(1)] | None = None,
        attention_at: Annotated[int, Bound(1)] | None = None,
        spectral_norm: bool = False,
    ) -> None:
        check_resolution("a ResNet generator", resolution, _GENERATOR)
        super().__init__(resolution, channels, classes)
        self.latent_shape = (latents,)
        widths = _scaled(_GENERATOR[resolution], width)
        sizes = [resolution >> step for step in reversed(range(len(widths)))]
        check_attention("generator", attention_at, sizes[1:])
        self.joined = JoinedEmbedding(classes, embedding)
        inputs = latents + self.joined.added
        self.first = spectral(initialised(LinearMaps(inputs, widths[0], sizes[0])), spectral_norm)
        self.blocks = nn.ModuleList(
            UpBlock(*pair, classes, spectral_norm, attention_at == size)
            for pair, size in zip(pairwise(widths), sizes[1:], strict=True)
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.last = spectral(initialised(nn.Conv2d(widths[-1], channels, 3, padding=1)), spectral_norm)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images; see `ImageGenerator`."""
        maps = self.first(self.joined(latents, labels))
        for block in self.blocks:
            maps = block(maps, labels)
        maps = self.last(F.relu(self.norm(maps), inplace=True))
        return torch.tanh(maps.to(latents.dtype))


class ResNetDiscriminator(Discriminator):
    """Residual blocks that halve the size, as in WGAN-GP (Gulrajani et al., 2017) and SNGAN (Miyato et al., 2018).

    With attention it is SAGAN's (Zhang et al., 2019). WGAN-GP's has spectral_norm=false and pooling=mean, and
    normalisation=layer at 64 pixels.

    Args:
        resolution: Height and width of the images: 32, 48, 64 or 128.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that it is conditioned on or predicts; 0 for none.
        width: Feature maps of the widest block; null is SNGAN's: 128 at 32, else 1024.
        attention_at: Height of the feature maps that attend to themselves; null for none.
        spectral_norm: Divide weights by their largest singular value.
        normalisation: Of the outputs of layers: none, or all maps of an image together (layer).
        pooling: Whether features are summed or averaged over the pixels before the output layer.
        conditioning: Use of the classes: projection conditions on them, an auxiliary classifier predicts them.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        width: Annotated[int, Bound(1)] | None = None,
        attention_at: Annotated[int, Bound(1)] | None = None,
        spectral_norm: bool = True,
        normalisation: Literal["none", "layer"] = "none",
        pooling: Literal["sum", "mean"] = "sum",
        conditioning: Conditioning = "projection",
    ) -> None:
        check_resolution("a ResNet discriminator", resolution, _DISCRIMINATOR)
        super().__init__(resolution, channels, classes)
        papers, halvings = _DISCRIMINATOR[resolution]
        widths = _scaled(papers, width)
        check_attention("discriminator", attention_at, [resolution >> step for step in range(1, halvings + 1)])
        self.blocks = nn.Sequential(
            *(
                DownBlock(
                    *pair,
                    first=step == 0,
                    down=step < halvings,
                    layer_norm=normalisation == "layer",
                    spectral_norm=spectral_norm,
                    attention=step < halvings and attention_at == resolution >> (step + 1),
                )
                for step, pair in enumerate(pairwise([channels, *widths]))
            )
        )
        self.pooling = pooling
        self.head = Head(widths[-1], classes, conditioning, spectral_norm)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Discriminate images; see `Discriminator`."""
        maps = F.relu(self.blocks(images))
        features = maps.sum((2, 3)) if self.pooling == "sum" else maps.mean((2, 3))
        output: DiscriminatorOutput = self.head(features, labels)
        return output


def _scaled(widths: Sequence[int], widest: int | None) -> list[int]:
    return [max(1, round(width * (widest or max(widths)) / max(widths))) for width in widths]


def _normalised_relu(features: int, layer_norm: bool, inplace: bool = False) -> nn.Module:
    return nn.Sequential(nn.GroupNorm(1, features), nn.ReLU(True)) if layer_norm else nn.ReLU(inplace)
