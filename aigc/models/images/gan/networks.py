"""A generator and a discriminator for the images of a data module."""

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from aigc.config import build
from aigc.config.types import Slot
from aigc.errors import InputError
from aigc.models.base import ModelFactory
from aigc.models.images.base import ImageGenerator
from aigc.models.images.gan.base import Discriminator


class Gan(nn.Module):
    """Two networks that learn from each other.

    Args:
        generator: Makes images.
        discriminator: Discriminates them from real ones.
        generator_config: A `_target_` node from which `aigc.config.build` makes the generator again.
        class_names: Names of the classes by label; empty where images are conditioned on none.
        class_shares: How frequent each class is among the real images, float32 (classes,).
    """

    class_shares: Tensor

    def __init__(
        self,
        generator: ImageGenerator,
        discriminator: Discriminator,
        generator_config: dict[str, Any],
        class_names: tuple[str, ...] = (),
        class_shares: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.generator_config = generator_config
        self.class_names = class_names
        shares = torch.ones(len(class_names)) if class_shares is None else class_shares
        self.register_buffer("class_shares", shares, persistent=False)


class GanNetworks(ModelFactory):
    """Any generator with any discriminator; resolution, channels and classes are those of the data.

    Args:
        generator: The network that makes images.
        discriminator: The network that discriminates them from real ones.
    """

    makes = "a generator with a discriminator"

    def __init__(
        self,
        generator: Annotated[
            dict[str, Any], Slot("aigc.models.images.base.ImageGenerator", ("resolution", "channels", "classes"))
        ],
        discriminator: Annotated[
            dict[str, Any], Slot("aigc.models.images.gan.base.Discriminator", ("resolution", "channels", "classes"))
        ],
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator

    def create(self, data: Any) -> Gan:
        """Create both networks, with random weights.

        Raises:
            InputError: The data are no images, or of a resolution that a network cannot work with.
        """
        if not hasattr(data, "resolution"):
            raise InputError(f"model: a GAN learns from images, and {type(data).__name__} holds none")
        names = tuple(data.classes) if data.labels else ()
        shape = {"resolution": data.resolution, "channels": data.channels, "classes": len(names)}
        shares = torch.bincount(torch.as_tensor(data.images.labels), minlength=len(names)).float() if names else None
        return Gan(
            build(self.generator, ImageGenerator, "model.generator", **shape),
            build(self.discriminator, Discriminator, "model.discriminator", **shape),
            self.generator | shape,
            names,
            shares,
        )
