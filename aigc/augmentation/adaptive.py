"""Augmentation by groups of transforms with a common probability: fixed, scheduled, or adapted to overfitting."""

import math
from typing import Annotated, Any

import torch
from torch import Tensor

from aigc.augmentation.base import OwnTransform, Pipeline, Transform
from aigc.augmentation.colour import colour
from aigc.augmentation.corruption import cutout, noise
from aigc.augmentation.frequency import filtering
from aigc.augmentation.space import blit, geometry
from aigc.config import build
from aigc.config.types import Bound, Slot
from aigc.distributed.collectives import all_sum
from aigc.errors import InputError

GROUPS: dict[str, Transform] = {
    "blit": blit,
    "geometry": geometry,
    "colour": colour,
    "filtering": filtering,
    "noise": noise,
    "cutout": cutout,
}
"""The transforms of the paper, in the order in which they are applied; one of your own is an `OwnTransform`."""
Share = Annotated[float, Bound(0, 1)]


class GroupedAugment(Pipeline):
    """The transforms of Karras et al. (2020, "Training generative adversarial networks with limited data").

    The generator does not learn the changes as long as enough images stay unchanged: keep the probability below about
    0.8.

    Args:
        probability: Probability of each change for an image.
        blit: Its factor for mirroring, quarter turns and moves by whole pixels; 0 leaves them out.
        geometry: Likewise, for scaling, rotation and moves by any amount.
        colour: Likewise, for brightness, contrast, luma, hue and saturation.
        filtering: Likewise, for bands of spatial frequencies made stronger or weaker.
        noise: Likewise, for added noise.
        cutout: Likewise, for a block that is made grey.
        transforms: Named `_target_` nodes of transforms of your own, applied after these; null switches one off.

    Raises:
        InputError: There is no transform.
    """

    def __init__(
        self,
        probability: Share,
        blit: Share = 1.0,
        geometry: Share = 1.0,
        colour: Share = 1.0,
        filtering: Share = 0.0,
        noise: Share = 0.0,
        cutout: Share = 0.0,
        transforms: Annotated[dict[str, Any] | None, Slot("aigc.augmentation.base.OwnTransform", named=True)] = None,
    ) -> None:
        shares = [blit, geometry, colour, filtering, noise, cutout]
        chosen = [(transform, share) for transform, share in zip(GROUPS.values(), shares, strict=True) if share]
        for name, node in (transforms or {}).items():
            if node is not None:
                own = build(node, OwnTransform, f"task.augmentation.transforms.{name}")
                chosen.append((own, own.share))
        if not chosen:
            raise InputError(
                f"{type(self).__name__} would change nothing, as {', '.join(GROUPS)} are all 0. Set one of them to 1."
            )
        super().__init__(chosen, probability)


class ScheduledAugment(GroupedAugment):
    """Grouped augmentation whose probability follows half a cosine, as in R3GAN (Huang et al., 2025).

    The shares of the transforms are those of `GroupedAugment`; R3GAN's are 0.5 for colour and 1 for blit, geometry and
    cutout.

    Args:
        final_probability: Final probability of each change.
        ramp_images: Real images of all ranks until the final probability.
        probability: Initial probability of each change.
        **groups: Shares of the transforms, and `transforms`.

    Raises:
        InputError: All transforms are left out.
    """

    _seen: Tensor

    def __init__(
        self,
        final_probability: Annotated[float, Bound(0, 1)] = 0.55,
        ramp_images: Annotated[int, Bound(1)] = 20_000_000,
        probability: Annotated[float, Bound(0, 1)] = 0.0,
        **groups: Any,
    ) -> None:
        super().__init__(probability, **groups)
        self.first_probability = probability
        self.final_probability = final_probability
        self.ramp_images = ramp_images
        self.register_buffer("_seen", torch.tensor(0))

    @torch.no_grad()
    def adapt(self, real_logits: Tensor) -> None:
        """Count the real images, one per logit, and update the probability."""
        self._seen += all_sum(torch.ones_like(real_logits, dtype=torch.int64).sum())
        risen = (1 - torch.cos((self._seen / self.ramp_images).clamp(max=1) * math.pi)) / 2
        self.probability.copy_(self.first_probability + (self.final_probability - self.first_probability) * risen)


class AdaptiveAugment(GroupedAugment):
    """Augmentation that raises its probability while the discriminator overfits, else lowers it (Karras et al., 2020).

    It overfits where the mean sign of its logits of real images is above the target. The shares of the transforms are
    those of `GroupedAugment`. All counts lie on the device and are the same on all ranks.

    Args:
        target: Target for the mean sign of the logits of real images.
        speed_images: Real images over which the probability can go from 0 to 1; a tenth of it or less suits short runs.
        every_n_steps: Steps of the discriminator between two changes of the probability.
        maximum: Upper limit of the probability.
        probability: Initial probability of each change.
        **groups: Shares of the transforms, and `transforms`.

    Attributes:
        overfitting: The mean sign that the last change of the probability came from, a float32 scalar buffer.

    Raises:
        InputError: The probability begins above the maximum, or all transforms are left out.
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
        **groups: Any,
    ) -> None:
        if probability > maximum:
            raise InputError(f"AdaptiveAugment: probability is {probability}, above the maximum of {maximum}.")
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
        self._counts += all_sum(torch.stack([signs.sum(), torch.ones_like(signs).sum()]))
        self._steps += 1
        due = self._steps % self.every_n_steps == 0
        total, images = self._counts.unbind()
        mean = total / images
        moved = self.probability + (mean - self.target).sign() * images / self.speed_images
        self.overfitting.copy_(torch.where(due, mean, self.overfitting))
        self.probability.copy_(torch.where(due, moved.clamp(0, self.maximum), self.probability))
        self._counts *= ~due
