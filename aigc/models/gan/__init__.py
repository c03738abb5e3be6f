"""Networks of GANs: generators and discriminators, any with any, each in one file for all resolutions."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aigc.models.gan.base import Discriminator, Generator, Judgement, StyleGenerator
from aigc.models.gan.networks import Gan, GanNetworks

if TYPE_CHECKING:
    from aigc.models.gan.biggan import BigGANDiscriminator, BigGANGenerator
    from aigc.models.gan.dcgan import DCGANDiscriminator, DCGANGenerator
    from aigc.models.gan.mlp import MLPDiscriminator, MLPGenerator
    from aigc.models.gan.r3gan import R3GANDiscriminator, R3GANGenerator
    from aigc.models.gan.resnet import ResNetDiscriminator, ResNetGenerator
    from aigc.models.gan.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
    from aigc.models.gan.unet import UNetDiscriminator, UNetGenerator

__all__ = [
    "BigGANDiscriminator",
    "BigGANGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "Gan",
    "GanNetworks",
    "Generator",
    "Judgement",
    "MLPDiscriminator",
    "MLPGenerator",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "StyleGenerator",
    "UNetDiscriminator",
    "UNetGenerator",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    stem = name.removesuffix("Generator").removesuffix("Discriminator").lower()
    return getattr(import_module(f"{__name__}.{stem}"), name)
