"""Augmentation whose probability follows how many images the discriminator has seen."""

import math
from typing import Annotated

import torch
from torch import Tensor

from aigc.augmentation.groups import GroupedAugment
from aigc.augmentation.ranks import sum_over_all
from aigc.config.types import Bound


class ScheduledAugment(GroupedAugment):
    """Moves the probability along half a cosine, as R3GAN does (Huang et al., 2025).

    The shares of the transforms are those of `GroupedAugment`; R3GAN's are 0.5 for colour and 1 for blit, geometry and
    cutout.

    Args:
        final_probability: How likely each change is in the end.
        ramp_images: Real images of all ranks after which it is.
        probability: How likely each change is at first.
        **groups: Shares of the transforms.

    Raises:
        InputError: All transforms are left out.
    """

    _seen: Tensor

    def __init__(
        self,
        final_probability: Annotated[float, Bound(0, 1)] = 0.55,
        ramp_images: Annotated[int, Bound(1)] = 20_000_000,
        probability: Annotated[float, Bound(0, 1)] = 0.0,
        **groups: float,
    ) -> None:
        super().__init__(probability, **groups)
        self.first_probability = probability
        self.final_probability = final_probability
        self.ramp_images = ramp_images
        self.register_buffer("_seen", torch.tensor(0))

    @torch.no_grad()
    def adapt(self, real_logits: Tensor) -> None:
        """Count the real images, as many as there are logits, and move the probability."""
        self._seen += sum_over_all(torch.ones_like(real_logits, dtype=torch.int64).sum())
        risen = (1 - torch.cos((self._seen / self.ramp_images).clamp(max=1) * math.pi)) / 2
        self.probability.copy_(self.first_probability + (self.final_probability - self.first_probability) * risen)
