"""The smallest networks of each kind, for what has to hold of all of them."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import nn

from aigc.models.images.gan import (
    BigGANDiscriminator,
    BigGANGenerator,
    Discriminator,
    Generator,
    R3GANDiscriminator,
    R3GANGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    UNetDiscriminator,
    UNetGenerator,
)


class Kind(NamedTuple):
    """How to make both networks, as (resolution, channels, classes); and resolutions that they work at and not."""

    generator: Callable[[int, int, int], Generator]
    discriminator: Callable[[int, int, int], Discriminator]
    works: tuple[int, ...]
    refuses: tuple[int, ...]


KINDS = {
    "biggan": Kind(
        lambda *shape: BigGANGenerator(*shape, chunk=3, embedding=4, width=2),
        lambda *shape: BigGANDiscriminator(*shape, width=2),
        (32, 64),
        (16, 48, 512),
    ),
    "stylegan2": Kind(
        lambda *shape: StyleGAN2Generator(*shape, latents=4, style_width=6, features=64, most_features=8),
        lambda *shape: StyleGAN2Discriminator(*shape, features=64, most_features=8, mapping_layers=2),
        (8, 32),
        (4, 48, 2048),
    ),
    "r3gan": Kind(
        lambda *shape: R3GANGenerator(
            *shape, latents=4, embedding=3, widths=_widths(shape[0]), group_width=4, blocks=1
        ),
        lambda *shape: R3GANDiscriminator(*shape, widths=_widths(shape[0]), group_width=4, blocks=1),
        (8, 32),
        (4, 48, 1024),
    ),
    "unet": Kind(
        lambda *shape: UNetGenerator(*shape, latents=2, embedding=3, width=4),
        lambda *shape: UNetDiscriminator(*shape, width=4),
        (8, 16),
        (4, 48, 1024),
    ),
}


def without_initialisation(patch: pytest.MonkeyPatch) -> None:
    """Make networks of any size at once: memory that nobody writes to is not taken."""
    for name in ("kaiming_uniform_", "normal_", "orthogonal_", "uniform_", "xavier_uniform_"):
        patch.setattr(nn.init, name, lambda weight, *_, **__: weight)
    patch.setattr(torch, "randn", torch.empty)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _widths(resolution: int) -> list[int] | None:
    """A few maps, fewer at each stage; none of one's own where no number of stages makes the resolution."""
    stages = resolution.bit_length() - 2
    return [max(4, 16 >> stage) for stage in range(stages)] if 4 < resolution == 2 << stages < 1024 else None
