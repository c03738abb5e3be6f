"""The gradient penalty of DRAGAN: a slope of 1 around real images."""

from typing import Annotated

import torch
from torch import Tensor

from aigc.config.types import Bound
from aigc.losses.base import DiscriminatorPhase, DiscriminatorRegulariser
from aigc.losses.regularisers.gradient_penalty import norm_penalty, per_image
from aigc.losses.regularisers.input_gradient import Discriminate


def dragan_penalty(
    discriminator: Discriminate, real: Tensor, seed: int, target: float = 1.0, reach: float = 0.5
) -> Tensor:
    """Compute the mean (|gradient| - target)² at points around real images (Kodali et al., 2017).

    Args:
        discriminator: Maps images to one number each, (n,), or to a `DiscriminatorOutput`.
        real: Real images, (n, ...).
        seed: Of the points; see `around`. Drawn in float32 on the CPU.
        target: The norm that costs nothing.
        reach: How far from its image a pixel is moved at most, in standard deviations of all pixels.

    Returns:
        A scalar without the weight, differentiable by the discriminator's weights.
    """
    source = torch.Generator().manual_seed(seed)
    shares = torch.rand(per_image(real), generator=source).to(real)
    noise = torch.rand(real.shape, generator=source).to(real)
    return norm_penalty(discriminator, around(real, shares, noise, reach), target)


def around(real: Tensor, shares: Tensor, noise: Tensor, reach: float) -> Tensor:
    """Return points around real images as in the code of Kodali et al.: image + share * reach * deviation * noise.

    Args:
        real: Real images, (n, ...).
        shares: One number from 0 to 1 for each image.
        noise: One for each pixel.
        reach: In standard deviations of all pixels of the batch (divisor: their number).
    """
    return real + shares * (reach * real.std(correction=0)) * noise


class DRAGAN(DiscriminatorRegulariser):
    """The gradient penalty of DRAGAN, at a random point around each real image, with its label.

    Args:
        weight: What the mean (|gradient| - target)² is multiplied by (10 in Kodali et al., 2017).
        target: The norm that costs nothing.
        reach: How far from its image a pixel is moved at most, in standard deviations of all pixels of the batch.
        every_n_steps: 1 adds it to the loss of each step; n > 1 makes it a step of its own, every n steps and n times
            as strong.
    """

    differentiates = True
    needs_fake = False

    def __init__(
        self,
        weight: Annotated[float, Bound(0)] = 10.0,
        target: Annotated[float, Bound(0)] = 1.0,
        reach: Annotated[float, Bound(0)] = 0.5,
        every_n_steps: Annotated[int, Bound(1)] = 1,
    ) -> None:
        super().__init__(weight, every_n_steps)
        self.target = target
        self.reach = reach

    def draw(self, real: Tensor) -> dict[str, Tensor]:
        """Draw the share of the reach for each image, and the noise of each pixel."""
        shares = torch.rand(per_image(real), dtype=real.dtype, device=real.device)
        return {"shares": shares, "noise": torch.rand_like(real)}

    def forward(self, phase: DiscriminatorPhase, drawn: dict[str, Tensor]) -> Tensor:
        """Return the penalty at the points."""
        points = around(phase.real, drawn["shares"], drawn["noise"], self.reach)
        return norm_penalty(lambda images: phase.discriminate(images, phase.real_labels), points, self.target)
