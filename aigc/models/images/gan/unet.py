"""U-Nets: a generator that starts from an image of noise, and a discriminator with an output for each pixel as well."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.config.types import Bound
from aigc.models.images.base import ImageGenerator
from aigc.models.images.gan.base import Discriminator, DiscriminatorOutput, check_resolution
from aigc.models.images.gan.biggan import DownBlock, Norm, UpBlock
from aigc.models.images.gan.conditioning import ConditionalBatchNorm, Conditioning, Head, needed
from aigc.models.images.gan.parts import initialised, powers_of_two, spectral

RESOLUTIONS = powers_of_two(8, 512)


class UNetGenerator(ImageGenerator):
    """Turns an image of noise into an image: down to 4 x 4 pixels, and up again, joined by the maps of the way down.

    The architecture is that of Ronneberger et al. (2015), with residual blocks and batch normalisation. Classes
    are given as planes of one number each, joined to the noise.

    Args:
        resolution: Height and width of the images; 8, 16, 32 ... 512.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that images are conditioned on; 0 for none.
        latents: Channels of the noise.
        embedding: Planes that stand for a class.
        width: Feature maps at the full resolution; twice as many at each half of it, up to eight times.

    Raises:
        InputError: The resolution is none of these.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        latents: Annotated[int, Bound(1)] = 4,
        embedding: Annotated[int, Bound(1)] = 16,
        width: Annotated[int, Bound(1)] = 64,
    ) -> None:
        check_resolution("a U-Net generator", resolution, RESOLUTIONS)
        super().__init__(resolution, channels, classes)
        self.latent_shape = (latents, resolution, resolution)
        self.embedding = nn.Embedding(classes, embedding) if classes else None
        widths = _widths(resolution, width)
        inputs = latents + (embedding if classes else 0)
        self.first = initialised(nn.Conv2d(inputs, width, 3, padding=1), "orthogonal")
        self.down = _descent(widths, ConditionalBatchNorm, False)
        self.up = _ascent(widths, ConditionalBatchNorm, False)
        self.norm = nn.BatchNorm2d(2 * width)
        self.last = initialised(nn.Conv2d(2 * width, channels, 3, padding=1), "orthogonal")

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images; see `ImageGenerator`."""
        noise = latents
        if self.embedding is not None:
            planes = self.embedding(needed(labels, self.classes))[:, :, None, None]
            noise = torch.cat([latents, planes.expand(-1, -1, self.resolution, self.resolution)], dim=1)
        levels = descended(self.down, self.first(noise))
        maps = torch.cat([ascended(self.up, levels), levels[0]], dim=1)
        maps = self.last(F.relu(self.norm(maps)))
        return torch.tanh(maps.to(latents.dtype))


class UNetDiscriminator(Discriminator):
    """Discriminates images on the way down to 4 x 4 pixels, and their pixels on the way up (Schönfeld et al., 2020).

    Both branches are residual blocks as in BigGAN, with spectral normalisation alone, and both are conditioned on
    classes by a projection. On the way up each block but the first also takes the maps of the way down.

    Args:
        resolution: Height and width of the images; 8, 16, 32 ... 512.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that it is conditioned on or predicts; 0 for none.
        width: Feature maps of pixels at the full resolution; twice as many at each half of it, up to eight times.
        spectral_norm: Divide weights by their largest singular value.
        conditioning: Use of the classes: projection conditions on them, an auxiliary classifier predicts them.

    Raises:
        InputError: The resolution is none of these.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        width: Annotated[int, Bound(1)] = 64,
        spectral_norm: bool = True,
        conditioning: Conditioning = "projection",
    ) -> None:
        check_resolution("a U-Net discriminator", resolution, RESOLUTIONS)
        super().__init__(resolution, channels, classes)
        widths = _widths(resolution, width)
        self.down = _descent([channels, *widths[1:]], None, spectral_norm, image=True)
        self.head = Head(widths[-1], classes, conditioning, spectral_norm, "orthogonal")
        self.up = _ascent(widths, None, spectral_norm)
        self.pixels = PixelHead(width, classes if conditioning == "projection" else 0, spectral_norm)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Discriminate images and their pixels; see `Discriminator`."""
        levels = descended(self.down, images)
        output: DiscriminatorOutput = self.head(F.relu(levels[-1]).sum((2, 3)), labels)
        return output._replace(pixels=self.pixels(F.relu(ascended(self.up, levels)), labels))


class PixelHead(nn.Module):
    """From features of pixels to their logits, with a projection of the class at each, in full precision.

    Args:
        features: Feature maps.
        classes: 0 for none.
        spectral_norm: Normalise all weights.
    """

    def __init__(self, features: int, classes: int, spectral_norm: bool) -> None:
        super().__init__()
        self.classes = classes
        self.logit = spectral(initialised(nn.Conv2d(features, 1, 1), "orthogonal"), spectral_norm)
        self.embedding: nn.Module | None = None
        if classes:
            self.embedding = spectral(initialised(nn.Embedding(classes, features), "orthogonal"), spectral_norm)

    def forward(self, maps: Tensor, labels: Tensor | None) -> Tensor:
        """Map (n, features, height, width) and, with classes, labels, int64 (n,), to (n, height, width)."""
        with torch.autocast(maps.device.type, enabled=False):
            maps = maps.to(next(self.parameters()).dtype)
            logits: Tensor = self.logit(maps).squeeze(1)
            if self.embedding is None:
                return logits
            return logits + torch.einsum("nfhw,nf->nhw", maps, self.embedding(needed(labels, self.classes)))


def descended(blocks: Iterable[nn.Module], maps: Tensor) -> list[Tensor]:
    """Return the maps and the outputs of each block, one after another."""
    levels = [maps]
    for block in blocks:
        levels.append(block(levels[-1]))
    return levels


def ascended(blocks: Iterable[nn.Module], levels: Sequence[Tensor]) -> Tensor:
    """Return maps as large as the first level, made of the last one, joined by those in between."""
    first, *others = blocks
    maps: Tensor = first(levels[-1])
    for block, beside in zip(others, levels[-2:0:-1], strict=True):
        maps = block(torch.cat([maps, beside], dim=1))
    return maps


def _descent(widths: Sequence[int], norm: Norm | None, spectral_norm: bool, image: bool = False) -> nn.ModuleList:
    """Create the blocks for `descended`; the last has another of its size after it, which joins all pixels."""
    blocks = [
        DownBlock(*pair, norm, spectral_norm, starts=step > 0 or not image)
        for step, pair in enumerate(pairwise(widths))
    ]
    meeting = DownBlock(widths[-1], widths[-1], norm, spectral_norm, down=False)
    return nn.ModuleList([*blocks[:-1], nn.Sequential(blocks[-1], meeting)])


def _ascent(widths: Sequence[int], norm: Norm | None, spectral_norm: bool) -> nn.ModuleList:
    """Create the blocks for `ascended`; from the second on they get maps of both branches."""
    shared = [widths[-1], *(2 * width for width in widths[-2:0:-1])]
    return nn.ModuleList(
        UpBlock(inputs, outputs, norm, spectral_norm) for inputs, outputs in zip(shared, widths[-2::-1], strict=True)
    )


def _widths(resolution: int, width: int) -> list[int]:
    """Return the number of feature maps of each level, from the full resolution to 4 x 4 pixels."""
    return [width * min(1 << step, 8) for step in range(len(powers_of_two(4, resolution)))]
