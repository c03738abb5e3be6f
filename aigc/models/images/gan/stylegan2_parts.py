"""What StyleGAN2 is built of: the mapping to styles, blocks of both networks, the statistics of a batch."""

import math
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.models.images.gan.base import MixesSamples
from aigc.models.images.gan.conditioning import needed
from aigc.models.images.gan.equalised import EqualisedConv, EqualisedLinear, ModulatedConv, activated
from aigc.models.images.gan.resampling import upsampler

Noise = Literal["random", "constant", "none"]


class Mapping(nn.Module):
    """From latents, labels, or both, to styles (Karras et al., 2019), without autocast.

    Args:
        latents: Width of latents; 0 for none.
        classes: How many there are; 0 for none.
        width: Width of styles, and of everything in between.
        layers: How many.
        rate: Learning rate relative to the optimiser's.
    """

    def __init__(self, latents: int, classes: int, width: int, layers: int, rate: float = 0.01) -> None:
        super().__init__()
        self.classes = classes
        self.embedding = EqualisedLinear(classes, width) if classes else None
        inputs = [latents + (width if classes else 0), *[width] * (layers - 1)]
        self.layers = nn.ModuleList(EqualisedLinear(features, width, rate=rate) for features in inputs)

    def forward(self, latents: Tensor | None, labels: Tensor | None) -> Tensor:
        """Map (n, latents), where there are some, and labels, int64 (n,), where there are classes, to (n, width).

        Raises:
            ValueError: There are classes and no labels.
        """
        weight = next(self.parameters())
        given = [] if latents is None else [latents.to(weight.dtype)]
        with torch.autocast(weight.device.type, enabled=False):
            if self.embedding is not None:
                given.append(self.embedding(F.one_hot(needed(labels, self.classes), self.classes).to(weight.dtype)))
            styles = torch.cat([normalised(part) for part in given], dim=1)
            for layer in self.layers:
                styles = activated(layer(styles))
            return styles


def normalised(vectors: Tensor) -> Tensor:
    """Scale vectors (n, width) so that the mean square of their elements is 1."""
    return vectors * (vectors.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class StyledConv(nn.Module):
    """A modulated convolution with noise and leaky ReLU.

    Args:
        size: Height and width of the maps that come in.
        inputs: Maps that come in.
        outputs: Maps that go out.
        style_width: Width of styles.
        noise: See `StyleGAN2Generator`.
        up: Double height and width.
    """

    constant_noise: Tensor

    def __init__(
        self, size: int, inputs: int, outputs: int, style_width: int, noise: Noise, *, up: bool = False
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv(size, inputs, outputs, 3, style_width, up=up)
        self.noise = noise
        if noise != "none":
            new_size = 2 * size if up else size
            self.strength = nn.Parameter(torch.zeros(()))
            self.register_buffer("constant_noise", torch.randn(new_size, new_size))

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Map (n, inputs, size, size) to (n, outputs, size, size), or twice that; style is (n, style_width)."""
        maps = self.conv(maps, style)
        if self.noise == "random" and self.training:
            maps = maps + self.strength.to(maps.dtype) * torch.randn_like(maps[:, :1])
        elif self.noise != "none":
            maps = maps + (self.strength * self.constant_noise).to(maps.dtype)
        return activated(maps)


class SynthesisBlock(nn.Module):
    """From maps and images of one resolution to those of the next.

    Args:
        size: Height and width of what comes in.
        inputs: Maps that come in.
        outputs: Maps that go out.
        channels: Channels of the images.
        style_width: Width of styles.
        noise: See `StyleGAN2Generator`.
    """

    def __init__(self, size: int, inputs: int, outputs: int, channels: int, style_width: int, noise: Noise) -> None:
        super().__init__()
        self.up = StyledConv(size, inputs, outputs, style_width, noise, up=True)
        self.conv = StyledConv(2 * size, outputs, outputs, style_width, noise)
        self.image = ModulatedConv(2 * size, outputs, channels, 1, style_width, demodulate=False)
        self.upsample = upsampler(size)

    def forward(self, maps: Tensor, images: Tensor, *styles: Tensor) -> tuple[Tensor, Tensor]:
        """Make maps and images twice as high and wide, of three styles (n, style_width); images stay in their dtype."""
        maps = self.conv(self.up(maps, styles[0]), styles[1])
        return maps, self.upsample(images) + self.image(maps, styles[2]).to(images.dtype)


class DownBlock(nn.Module):
    """Halves the size of maps in a discriminator, by two convolutions and, where it is residual, a skip.

    Args:
        size: Height and width of the maps that come in.
        inputs: Maps that come in.
        outputs: Maps that go out.
        residual: Add what comes in, scaled down, and keep the variance.
    """

    def __init__(self, size: int, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        self.conv = EqualisedConv(size, inputs, inputs, 3)
        self.down = EqualisedConv(size, inputs, outputs, 3, down=True)
        self.skip = EqualisedConv(size, inputs, outputs, 1, down=True, bias=False) if residual else None

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, inputs, size, size) to (n, outputs, size / 2, size / 2)."""
        found: Tensor = self.down(activated(self.conv(maps)))
        if self.skip is None:
            return activated(found)
        skipped: Tensor = self.skip(maps)
        return activated(found, gain=1) + skipped * math.sqrt(0.5)  # the gain is sqrt(2) * sqrt(1/2)


class MinibatchDeviation(nn.Module, MixesSamples):
    """Adds a map that says how much the samples of a group differ (Karras et al., 2018), so that variety is seen.

    It holds their standard deviation, averaged over all maps and pixels. Of a batch in g groups those samples belong
    together whose numbers are equal modulo g.

    Args:
        group: Samples in a group; the largest number up to it is taken that divides those of the batch.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, channels, height, width) to (n, channels + 1, height, width)."""
        count, _, height, width = maps.shape
        group = next(size for size in range(min(self.group, count), 0, -1) if count % size == 0)
        grouped = maps.to(torch.promote_types(maps.dtype, torch.float32)).view(group, -1, *maps.shape[1:])
        deviation = (grouped.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
        added = deviation.to(maps.dtype).repeat(group)[:, None, None, None].expand(-1, 1, height, width)
        return torch.cat([maps, added], dim=1)
