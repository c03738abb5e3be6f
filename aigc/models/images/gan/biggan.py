"""BigGAN (Brock et al., 2019), and the blocks that it shares with U-Nets."""

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.config.types import Bound
from aigc.models.images.base import ImageGenerator
from aigc.models.images.gan.attention import SelfAttention, check_attention
from aigc.models.images.gan.base import Discriminator, DiscriminatorOutput, check_resolution
from aigc.models.images.gan.conditioning import ConditionalBatchNorm, Conditioning, Head, needed
from aigc.models.images.gan.parts import DownConvolution, LinearMaps, UpConvolution, initialised, spectral, upsampled

# Feature maps in units of the width: of the generator's first maps, then after each of its blocks; for 32 pixels as in
# StudioGAN (Kang et al., 2023), otherwise as in the paper.
_GENERATOR = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}
# The same after each block of the discriminator, and how many of the blocks halve the size.
_DISCRIMINATOR = {
    32: ((2, 2, 2, 2), 2),
    64: ((1, 2, 4, 8, 16), 4),
    128: ((1, 2, 4, 8, 16, 16), 5),
    256: ((1, 2, 4, 8, 8, 16, 16), 6),
}
Norm = Callable[[int], nn.Module]
"""From a number of feature maps to a layer that normalises them, given a condition."""


class UpBlock(nn.Module):
    """Doubles the size: twice normalisation, ReLU and a convolution of 3 x 3, beside a shortcut.

    Args:
        inputs: Number of input feature maps.
        outputs: Feature maps that go out.
        norm: Makes normalisations; None for none.
        spectral_norm: Normalise all weights.
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm | None, spectral_norm: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList([norm(inputs), norm(outputs)] if norm else [])
        self.first = _layer(UpConvolution(inputs, outputs), spectral_norm)
        self.second = _layer(nn.Conv2d(outputs, outputs, 3, padding=1), spectral_norm)
        self.shortcut = _layer(nn.Conv2d(inputs, outputs, 1), spectral_norm)

    def forward(self, maps: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map (n, inputs, height, width) to (n, outputs, 2 height, 2 width)."""
        inner: Tensor = self.first(F.relu(self.norms[0](maps, condition) if self.norms else maps))
        inner = self.second(F.relu(self.norms[1](inner, condition) if self.norms else inner))
        # A convolution of 1 x 1 gives the same before the pixels are repeated, at a quarter of the cost.
        return inner + upsampled(self.shortcut(maps))


class DownBlock(nn.Module):
    """Twice normalisation, ReLU and a convolution of 3 x 3, the second of which may halve the size, beside a shortcut.

    Args:
        inputs: Number of input feature maps, or channels of an image.
        outputs: Feature maps that go out.
        norm: Makes normalisations; None for none.
        spectral_norm: Normalise all weights.
        starts: Whether there is normalisation and ReLU before the first convolution; an image has none.
        down: Halve the size.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        norm: Norm | None,
        spectral_norm: bool,
        *,
        starts: bool = True,
        down: bool = True,
    ) -> None:
        super().__init__()
        self.before = nn.Identity() if not starts else nn.Sequential(*([norm(inputs)] if norm else []), nn.ReLU())
        self.first = _layer(nn.Conv2d(inputs, outputs, 3, padding=1), spectral_norm)
        self.between = nn.Sequential(*([norm(outputs)] if norm else []), nn.ReLU())
        second = DownConvolution(outputs, outputs) if down else nn.Conv2d(outputs, outputs, 3, padding=1)
        self.second = _layer(second, spectral_norm)
        self.shortcut = nn.Sequential(
            *([nn.AvgPool2d(2)] if down else []),
            *([_layer(nn.Conv2d(inputs, outputs, 1), spectral_norm)] if down or inputs != outputs else []),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, inputs, height, width) to (n, outputs, ...), of the same or half the height and width."""
        inner: Tensor = self.second(self.between(self.first(self.before(maps))))
        shortcut: Tensor = self.shortcut(maps)
        return inner + shortcut


class BigGANGenerator(ImageGenerator):
    """Residual blocks whose batch normalisation depends on an embedding of the class and on a part of the latents each.

    Without classes it depends on that part of the latents alone.

    Args:
        resolution: Height and width of the images: 32, 64, 128 or 256.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that images are conditioned on; 0 for none.
        chunk: Numbers of the latents that go to the first layer, and as many to each block. The paper's 20 make 80
            latents for 32 pixels and 120 for 128.
        embedding: Numbers that stand for a class, for all blocks.
        width: Feature maps of the last block for 128 and 256 pixels; there are twice as many for 64, four times for 32.
        attention_at: Height of the feature maps that attend to themselves; null for none. In the paper it is 64.
        spectral_norm: Divide weights by their largest singular value.

    Raises:
        InputError: The resolution is none of these, or no feature maps are as high as `attention_at`.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        chunk: Annotated[int, Bound(1)] = 20,
        embedding: Annotated[int, Bound(1)] = 128,
        width: Annotated[int, Bound(1)] = 96,
        attention_at: Annotated[int, Bound(1)] | None = 16,
        spectral_norm: bool = True,
    ) -> None:
        check_resolution("BigGAN", resolution, _GENERATOR)
        super().__init__(resolution, channels, classes)
        widths = [width * units for units in _GENERATOR[resolution]]
        sizes = [8 << step for step in range(len(widths) - 1)]
        check_attention("generator", attention_at, sizes)
        self.chunk, self.latent_shape = chunk, (chunk * len(widths),)
        self.embedding = initialised(nn.Embedding(classes, embedding), "orthogonal") if classes else None

        def norm(features: int) -> nn.Module:
            condition = chunk + (embedding if classes else 0)
            return ConditionalBatchNorm(features, None, condition, spectral_norm=spectral_norm)

        self.first = _layer(LinearMaps(chunk, widths[0], 4), spectral_norm)
        self.blocks = nn.ModuleList(UpBlock(*pair, norm, spectral_norm) for pair in pairwise(widths))
        self.attentions = nn.ModuleList(
            SelfAttention(after, spectral_norm) if size == attention_at else nn.Identity()
            for after, size in zip(widths[1:], sizes, strict=True)
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.last = _layer(nn.Conv2d(widths[-1], channels, 3, padding=1), spectral_norm)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images; see `ImageGenerator`."""
        chunks = latents.view(-1, len(self.blocks) + 1, self.chunk).unbind(1)
        shared = [] if self.embedding is None else [self.embedding(needed(labels, self.classes))]
        maps = self.first(chunks[0])
        for block, attention, chunk in zip(self.blocks, self.attentions, chunks[1:], strict=True):
            maps = attention(block(maps, torch.cat([*shared, chunk], dim=1)))
        maps = self.last(F.relu(self.norm(maps)))
        return torch.tanh(maps.to(latents.dtype))


class BigGANDiscriminator(Discriminator):
    """Residual blocks that halve the size, and in the paper a projection of the class.

    Args:
        resolution: Height and width of the images: 32, 64, 128 or 256.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that it is conditioned on or predicts; 0 for none.
        width: Feature maps of the first block; twice as many for 32 pixels.
        attention_at: Height of the feature maps that attend to themselves; null for none. In the paper it is 64.
        spectral_norm: Divide weights by their largest singular value.
        conditioning: Use of the classes: projection conditions on them, an auxiliary classifier predicts them.

    Raises:
        InputError: The resolution is none of these, or no feature maps are as high as `attention_at`.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        width: Annotated[int, Bound(1)] = 96,
        attention_at: Annotated[int, Bound(1)] | None = 16,
        spectral_norm: bool = True,
        conditioning: Conditioning = "projection",
    ) -> None:
        check_resolution("BigGAN", resolution, _DISCRIMINATOR)
        super().__init__(resolution, channels, classes)
        units, halvings = _DISCRIMINATOR[resolution]
        widths = [channels, *(width * unit for unit in units)]
        sizes = [resolution >> step for step in range(1, halvings + 1)]
        check_attention("discriminator", attention_at, sizes)
        blocks: list[nn.Module] = []
        for step, pair in enumerate(pairwise(widths)):
            down = step < halvings
            blocks.append(DownBlock(*pair, None, spectral_norm, starts=step > 0, down=down))
            if down and sizes[step] == attention_at:
                blocks.append(SelfAttention(pair[1], spectral_norm))
        self.blocks = nn.Sequential(*blocks)
        self.head = Head(widths[-1], classes, conditioning, spectral_norm, "orthogonal")

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Discriminate images; see `Discriminator`."""
        output: DiscriminatorOutput = self.head(F.relu(self.blocks(images)).sum((2, 3)), labels)
        return output


def _layer(layer: nn.Module, spectral_norm: bool) -> nn.Module:
    return spectral(initialised(layer, "orthogonal"), spectral_norm)
