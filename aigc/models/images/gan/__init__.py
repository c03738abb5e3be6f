"""Networks of GANs: generators and discriminators, any with any, each in one file for all resolutions."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aigc.models.images.base import ImageGenerator as Generator
from aigc.models.images.gan.base import Discriminator, DiscriminatorOutput, StyleGenerator
from aigc.models.images.gan.networks import Gan, GanNetworks

if TYPE_CHECKING:
    from aigc.models.images.gan.biggan import BigGANDiscriminator, BigGANGenerator
    from aigc.models.images.gan.dcgan import DCGANDiscriminator, DCGANGenerator
    from aigc.models.images.gan.mlp import MLPDiscriminator, MLPGenerator
    from aigc.models.images.gan.r3gan import R3GANDiscriminator, R3GANGenerator
    from aigc.models.images.gan.resnet import ResNetDiscriminator, ResNetGenerator
    from aigc.models.images.gan.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
    from aigc.models.images.gan.unet import UNetDiscriminator, UNetGenerator

__all__ = [
    "BigGANDiscriminator",
    "BigGANGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "DiscriminatorOutput",
    "Gan",
    "GanNetworks",
    "Generator",
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
