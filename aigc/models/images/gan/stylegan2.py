"""StyleGAN2 (Karras et al., 2020), as in the authors' code for small data sets, stylegan2-ada."""

import math
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn

from aigc.config.types import Bound
from aigc.models.images.gan.base import Discriminator, DiscriminatorOutput, StyleGenerator, check_resolution
from aigc.models.images.gan.equalised import EqualisedConv, EqualisedLinear, ModulatedConv, activated
from aigc.models.images.gan.parts import powers_of_two
from aigc.models.images.gan.stylegan2_parts import (
    DownBlock,
    Mapping,
    MinibatchDeviation,
    Noise,
    StyledConv,
    SynthesisBlock,
)

RESOLUTIONS = powers_of_two(8, 1024)


class StyleGAN2Generator(StyleGenerator):
    """Makes images of styles, by modulated convolutions and a sum of images of rising resolution; they are not bounded.

    Args:
        resolution: Height and width of the images; 8, 16, 32 ... 1024.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that images are conditioned on; 0 for none.
        latents: Size of the latent vector.
        style_width: Numbers in a style, and in each layer of the mapping.
        mapping_layers: Layers from latents to styles; 8 in the paper, 2 in stylegan2-ada's configs for small images.
        mapping_rate: Learning rate of the mapping relative to the optimiser's.
        features: Feature maps of a layer times its resolution; stylegan2-ada halves this below 512 x 512, but for
            CIFAR-10.
        most_features: Largest number of feature maps of a layer.
        style_mixing: How many of the images have other latents' styles from a random layer on, during training.
        noise: What is added to maps. random: drawn anew from the global generator during training, and constant in
            evaluation, so that an image depends on its latents alone; constant; or none.
        average_decay: How much of the average style remains at each batch of training.

    Attributes:
        layers: How many styles an image has.

    Raises:
        InputError: The resolution is none of these.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        latents: Annotated[int, Bound(1)] = 512,
        style_width: Annotated[int, Bound(1)] = 512,
        mapping_layers: Annotated[int, Bound(1)] = 2,
        mapping_rate: Annotated[float, Bound(1e-6)] = 0.01,
        features: Annotated[int, Bound(1024)] = 32768,
        most_features: Annotated[int, Bound(1)] = 512,
        style_mixing: Annotated[float, Bound(0, 1)] = 0.9,
        noise: Noise = "random",
        average_decay: Annotated[float, Bound(0, 1)] = 0.995,
    ) -> None:
        super().__init__(resolution, channels, classes)
        check_resolution("StyleGAN2", resolution, RESOLUTIONS)
        self.latent_shape = (latents,)
        self.style_mixing, self.average_decay = style_mixing, average_decay
        self.mapper = Mapping(latents, classes, style_width, mapping_layers, mapping_rate)
        self.register_buffer("average_style", torch.zeros(style_width))
        sizes = powers_of_two(4, resolution)
        widths = _widths(sizes, features, most_features)
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.first = StyledConv(4, widths[0], widths[0], style_width, noise)
        self.first_image = ModulatedConv(4, widths[0], channels, 1, style_width, demodulate=False)
        self.blocks = nn.ModuleList(
            SynthesisBlock(size, *width, channels, style_width, noise)
            for size, width in zip(sizes, pairwise(widths), strict=False)
        )
        self.layers = 2 * len(sizes)

    def mapping(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents to styles, float32 (n, layers, width); in training, mix those of two latents in some images.

        In training it also moves the average style. The second latents are drawn from the global generator.
        """
        own: Tensor = self.mapper(latents, labels)
        styles = own[:, None].expand(-1, self.layers, -1)
        if not self.training:
            return styles
        self.average_style.lerp_(own.detach().mean(0).to(self.average_style.dtype), 1 - self.average_decay)
        if self.style_mixing == 0:
            return styles
        other = self.mapper(torch.randn_like(latents), labels)[:, None]
        count, device = len(latents), latents.device
        mixed = torch.rand(count, 1, device=device) < self.style_mixing
        first = torch.randint(1, self.layers, (count, 1), device=device)
        replaced = mixed & (torch.arange(self.layers, device=device) >= first)
        return torch.where(replaced[..., None], other, styles)

    def synthesis(self, styles: Tensor) -> Tensor:
        """Make images (n, channels, resolution, resolution) of styles (n, layers, width)."""
        each = styles.unbind(1)
        maps = self.first(self.constant.expand(styles.shape[0], -1, -1, -1), each[0])
        images: Tensor = self.first_image(maps, each[1]).to(self.constant.dtype)
        for index, block in enumerate(self.blocks):
            # An image has the style of the next block's first convolution.
            maps, images = block(maps, images, *each[2 * index + 1 : 2 * index + 4])
        return images


class StyleGAN2Discriminator(Discriminator):
    """Discriminates images by residual blocks and by how much the images of a group differ.

    Where there are classes, the logit is the inner product of its features with a mapping of the label, divided by the
    root of their number.

    Args:
        resolution: Height and width of the images; 8, 16, 32 ... 1024.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that it is conditioned on; 0 for none.
        features: Feature maps of a layer times its resolution.
        most_features: Largest number of feature maps of a layer.
        residual: Whether blocks have skips; stylegan2-ada has none for CIFAR-10.
        group: Images that are compared with each other; the largest number up to it that divides a batch is taken.
        mapping_layers: Layers of the mapping of labels.

    Raises:
        InputError: The resolution is none of these.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        features: Annotated[int, Bound(1024)] = 32768,
        most_features: Annotated[int, Bound(1)] = 512,
        residual: bool = True,
        group: Annotated[int, Bound(1)] = 4,
        mapping_layers: Annotated[int, Bound(1)] = 8,
    ) -> None:
        super().__init__(resolution, channels, classes)
        check_resolution("StyleGAN2", resolution, RESOLUTIONS)
        sizes = powers_of_two(4, resolution)[::-1]
        widths = _widths(sizes, features, most_features)
        width = widths[-1]
        self.entry = EqualisedConv(resolution, channels, widths[0], 1)
        self.blocks = nn.Sequential(
            *(DownBlock(size, *width, residual) for size, width in zip(sizes, pairwise(widths), strict=False))
        )
        self.deviation = MinibatchDeviation(group)
        self.conv = EqualisedConv(4, width + 1, width, 3)
        self.linear = EqualisedLinear(width * 4 * 4, width)
        self.output = EqualisedLinear(width, width if classes else 1)
        self.label_mapping = Mapping(0, classes, width, mapping_layers) if classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Discriminate images; see `Discriminator`. From the last convolution on there is no autocast."""
        maps = self.deviation(self.blocks(activated(self.entry(images))))
        with torch.autocast(images.device.type, enabled=False):
            maps = activated(self.conv(maps.to(self.output.weight.dtype)))
            found = self.output(activated(self.linear(maps.flatten(1))))
            if self.label_mapping is None:
                return DiscriminatorOutput(found.squeeze(1))
            return DiscriminatorOutput((found * self.label_mapping(None, labels)).sum(1) / math.sqrt(found.shape[1]))


def _widths(sizes: list[int], features: int, most_features: int) -> list[int]:
    """Return the number of feature maps at each size."""
    return [min(features // size, most_features) for size in sizes]
