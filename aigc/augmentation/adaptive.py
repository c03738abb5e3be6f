"""Augmentation whose probability follows how far the discriminator overfits."""

from typing import Annotated

import torch
from torch import Tensor

from aigc.augmentation.groups import GroupedAugment
from aigc.augmentation.ranks import sum_over_all
from aigc.config.types import Bound
from aigc.errors import InputError


class AdaptiveAugment(GroupedAugment):
    """Raises the probability where the discriminator overfits, and lowers it where it does not (Karras et al., 2020).

    It overfits where the mean sign of its logits of real images is above the target. The shares of the transforms are
    those of `GroupedAugment`. All counts lie on the device and are the same on all ranks.

    Args:
        target: Mean sign of the logits of real images that is aimed at.
        speed_images: Real images over which the probability can go from 0 to 1; a tenth of it or less suits short runs.
        every_n_steps: Steps of the discriminator between two changes of the probability.
        maximum: The probability never goes beyond.
        probability: How likely each change is at first.
        **groups: Shares of the transforms.

    Attributes:
        overfitting: The mean sign that the last change of the probability came from, a float32 scalar buffer.

    Raises:
        InputError: The probability begins beyond the maximum, or all transforms are left out.
    """

    reads_signs = True
    overfitting: Tensor
    _counts: Tensor
    _steps: Tensor

    def __init__(
        self,
        target: Annotated[float, Bound(-1, 1)] = 0.6,
        speed_images: Annotated[int, Bound(1)] = 500_000,
        every_n_steps: Annotated[int, Bound(1)] = 4,
        maximum: Annotated[float, Bound(0, 1)] = 1.0,
        probability: Annotated[float, Bound(0, 1)] = 0.0,
        **groups: float,
    ) -> None:
        if probability > maximum:
            raise InputError(f"AdaptiveAugment: probability is {probability}, beyond the maximum of {maximum}.")
        super().__init__(probability, **groups)
        self.target = target
        self.speed_images = speed_images
        self.every_n_steps = every_n_steps
        self.maximum = maximum
        self.register_buffer("overfitting", torch.tensor(0.0))
        self.register_buffer("_counts", torch.zeros(2, dtype=torch.int64))  # sum of signs, images
        self.register_buffer("_steps", torch.tensor(0))

    @torch.no_grad()
    def adapt(self, real_logits: Tensor) -> None:
        """Count the signs of the discriminator's logits of real images, (n,), and change the probability when due."""
        signs = real_logits.sign().long()
        self._counts += sum_over_all(torch.stack([signs.sum(), torch.ones_like(signs).sum()]))
        self._steps += 1
        due = self._steps % self.every_n_steps == 0
        total, images = self._counts.unbind()
        mean = total / images
        moved = self.probability + (mean - self.target).sign() * images / self.speed_images
        self.overfitting.copy_(torch.where(due, mean, self.overfitting))
        self.probability.copy_(torch.where(due, moved.clamp(0, self.maximum), self.probability))
        self._counts *= ~due
