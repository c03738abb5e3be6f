"""R3GAN (Huang et al., 2025): both networks of residual blocks with grouped convolutions, without normalisation."""

import math
from collections.abc import Sequence
from typing import Annotated, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.config.types import Bound
from aigc.errors import InputError
from aigc.models.images.base import ImageGenerator
from aigc.models.images.gan.base import Discriminator, DiscriminatorOutput, check_resolution
from aigc.models.images.gan.conditioning import needed
from aigc.models.images.gan.parts import powers_of_two
from aigc.models.images.gan.resampling import downsampler, upsampler
from aigc.printing import plural

RESOLUTIONS = powers_of_two(8, 512)
Layer = TypeVar("Layer", bound=nn.Module)
_SLOPE = 0.2
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))
"""Of leaky ReLU (He et al., 2015)."""


class R3GANGenerator(ImageGenerator):
    """Makes images by stages of residual blocks, from 4 x 4 pixels that are learned on; they are not bounded.

    The defaults are the paper's for CIFAR-10; beyond 32 x 32 pixels they are those for FFHQ.

    Args:
        resolution: Height and width of the images; 8, 16, 32 ... 512, or what the number of widths makes.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that images are conditioned on; 0 for none.
        latents: Size of the latent vector.
        embedding: Size of the vector of the class beside the latents.
        widths: Feature maps of each stage, from 4 x 4 pixels on; null for 768 up to 32 x 32, and half as many at each
            stage after it.
        group_width: Feature maps in a group of the 3 x 3 convolutions. The paper counts groups ("cardinality"): 96.
        blocks: Residual blocks of each stage.
        expansion: Feature maps inside of a block relative to its width.

    Raises:
        InputError: The resolution is none of these, or a width does not divide into groups.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        latents: Annotated[int, Bound(1)] = 64,
        embedding: Annotated[int, Bound(1)] = 64,
        widths: list[int] | None = None,
        group_width: Annotated[int, Bound(1)] = 16,
        blocks: Annotated[int, Bound(1)] = 2,
        expansion: Annotated[int, Bound(1)] = 2,
    ) -> None:
        super().__init__(resolution, channels, classes)
        widths = _widths(resolution, widths)
        self.latent_shape = (latents,)
        self.embedding = _embedding(classes, embedding) if classes else None
        self.linear = scaled(nn.Linear(latents + (embedding if classes else 0), widths[0], bias=False))
        self.basis = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        layers: list[nn.Module] = []
        for stage, width in enumerate(widths):
            if stage:
                layers += [*_mix(widths[stage - 1], width), upsampler(2 << stage)]
            layers += _stage(width, group_width, blocks, expansion, len(widths))
        self.stages = nn.Sequential(*layers)
        self.output = scaled(nn.Conv2d(widths[-1], channels, 1, bias=False))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images; see `ImageGenerator`. The last convolution is without autocast."""
        if self.embedding is not None:
            latents = torch.cat([latents, self.embedding(needed(labels, self.classes))], dim=1)
        made = self.linear(latents)[:, :, None, None]
        maps = self.stages(made * self.basis.to(made.dtype))  # in autocast's precision from here on
        with torch.autocast(maps.device.type, enabled=False):
            images: Tensor = self.output(maps.to(self.output.weight.dtype))
            return images


class R3GANDiscriminator(Discriminator):
    """Discriminates images by the generator's stages in reverse order.

    Where there are classes, the logit is the inner product of an image's features with the embedding of its class.

    Args:
        resolution: Height and width of the images; 8, 16, 32 ... 512, or what the number of widths takes.
        channels: 1 for grey, 3 for colour.
        classes: Number of classes that it is conditioned on; 0 for none.
        widths: Feature maps of each stage, from 4 x 4 pixels on as in the generator; null for 768 up to 32 x 32, and
            half as many at each stage after it.
        group_width: Feature maps in a group of the 3 x 3 convolutions.
        blocks: Residual blocks of each stage.
        expansion: Feature maps inside of a block relative to its width.

    Raises:
        InputError: The resolution is none of these, or a width does not divide into groups.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        widths: list[int] | None = None,
        group_width: Annotated[int, Bound(1)] = 16,
        blocks: Annotated[int, Bound(1)] = 2,
        expansion: Annotated[int, Bound(1)] = 2,
    ) -> None:
        super().__init__(resolution, channels, classes)
        widths = _widths(resolution, widths)[::-1]
        self.entry = scaled(nn.Conv2d(channels, widths[0], 1, bias=False))
        layers: list[nn.Module] = []
        for stage, width in enumerate(widths):
            if stage:
                layers += [downsampler(resolution >> (stage - 1)), *_mix(widths[stage - 1], width)]
            layers += _stage(width, group_width, blocks, expansion, len(widths))
        self.stages = nn.Sequential(*layers)
        self.basis = nn.Parameter(torch.randn(1, widths[-1], 4, 4) / 4)
        self.output = scaled(nn.Linear(widths[-1], widths[-1] if classes else 1, bias=False))
        self.embedding = _embedding(classes, widths[-1], 1 / math.sqrt(widths[-1])) if classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Discriminate images; see `Discriminator`. The last layers are without autocast."""
        maps = self.stages(self.entry(images))
        with torch.autocast(images.device.type, enabled=False):
            found = self.output((maps.to(self.basis.dtype) * self.basis).sum((2, 3)))
            if self.embedding is None:
                return DiscriminatorOutput(found.squeeze(1))
            return DiscriminatorOutput((found * self.embedding(needed(labels, self.classes))).sum(1))


class ResidualBlock(nn.Module):
    """A wide 3 x 3 convolution in groups between two of 1 x 1; at first the block changes nothing (Zhang et al., 2019).

    Args:
        width: Maps that come in and go out.
        group_width: Maps in a group.
        expansion: Maps inside relative to `width`.
        depth: Residual blocks of the whole network; the more, the smaller are the weights at first ("Fixup").

    Raises:
        InputError: The maps inside do not divide into groups.
    """

    def __init__(self, width: int, group_width: int, expansion: int, depth: int) -> None:
        super().__init__()
        inside = width * expansion
        if inside % group_width:
            raise InputError(
                f"R3GAN: {width} feature maps times an expansion of {expansion} do not divide into groups of "
                f"{group_width}. Change widths, expansion or group_width in model.generator and model.discriminator."
            )
        gain = _GAIN * depth**-0.25  # depth ** (-1 / (2 m - 2)), with m = 3 layers
        self.widen = scaled(nn.Conv2d(width, inside, 1), gain)
        self.group = scaled(nn.Conv2d(inside, inside, 3, padding=1, groups=inside // group_width), gain)
        self.narrow = scaled(nn.Conv2d(inside, width, 1, bias=False), 0)

    def forward(self, maps: Tensor) -> Tensor:
        """Add to maps (n, width, height, width) what the layers make of them."""
        inside = F.leaky_relu(self.group(F.leaky_relu(self.widen(maps), _SLOPE)), _SLOPE)
        added: Tensor = self.narrow(inside)
        return maps + added


def scaled(layer: Layer, gain: float = 1.0) -> Layer:
    """Initialise a linear layer or convolution: normal weights of deviation gain / sqrt(inputs), biases of 0."""
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    nn.init.normal_(weight, std=gain / math.sqrt(weight[0].numel()))
    if isinstance(bias, Tensor):
        nn.init.zeros_(bias)
    return layer


def _stage(width: int, group_width: int, blocks: int, expansion: int, stages: int) -> list[nn.Module]:
    return [ResidualBlock(width, group_width, expansion, stages * blocks) for _ in range(blocks)]


def _mix(inputs: int, outputs: int) -> list[nn.Module]:
    """Return the layers from one width to another."""
    return [] if inputs == outputs else [scaled(nn.Conv2d(inputs, outputs, 1, bias=False))]


def _embedding(classes: int, width: int, gain: float = 1.0) -> nn.Embedding:
    """Create vectors of classes, as a linear layer makes them of one-hot labels."""
    embedding = nn.Embedding(classes, width)
    nn.init.normal_(embedding.weight, std=gain / math.sqrt(classes))
    return embedding


def _widths(resolution: int, given: Sequence[int] | None) -> list[int]:
    """Return the number of feature maps of each stage, from 4 x 4 pixels to the resolution."""
    if given is None:
        check_resolution("R3GAN", resolution, RESOLUTIONS)
        return [min(768, 768 * 32 // size) for size in powers_of_two(4, resolution)]
    if len(given) < 2 or min(given) < 1:
        raise InputError(
            f"R3GAN: widths are {list(given)}; give two numbers or more, from 1 on, the first for 4 x 4 pixels."
        )
    check_resolution(f"R3GAN with {plural(len(given), 'width')}", resolution, [2 << len(given)])
    return list(given)
