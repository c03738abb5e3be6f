"""Networks of GANs: generators and discriminators, any with any, each in one file for all resolutions."""

from aigc.config.exports import lazy_exports
from aigc.models.images.base import ImageGenerator as Generator
from aigc.models.images.gan.base import Discriminator as Discriminator
from aigc.models.images.gan.base import DiscriminatorOutput as DiscriminatorOutput
from aigc.models.images.gan.base import StyleGenerator as StyleGenerator
from aigc.models.images.gan.networks import Gan as Gan
from aigc.models.images.gan.networks import GanNetworks as GanNetworks

__all__ = ["Generator"]
__getattr__, __dir__ = lazy_exports(__name__)
