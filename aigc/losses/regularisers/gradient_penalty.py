"""The gradient penalty of WGAN-GP: a slope of 1 between real and generated images."""

from typing import Annotated

import torch
from torch import Tensor

from aigc.config.types import Bound
from aigc.losses.base import DiscriminatorPhase, DiscriminatorRegulariser
from aigc.losses.regularisers.input_gradient import Discriminate, input_gradient, root, squared_norm


def gradient_penalty(discriminator: Discriminate, real: Tensor, fake: Tensor, seed: int, target: float = 1.0) -> Tensor:
    """Compute the mean (|gradient| - target)² at random mixes of real and generated images (Gulrajani et al., 2017).

    Args:
        discriminator: Maps images to one number each, (n,), or to a `DiscriminatorOutput`.
        real: Real images, (n, ...).
        fake: Made images, of the same shape.
        seed: Of the shares of the real images, uniform from 0 to 1, one for each mix; drawn in float32 on the CPU.
        target: The norm that costs nothing.

    Returns:
        A scalar without the weight, differentiable by the discriminator's weights.

    Raises:
        ValueError: The shapes differ.
    """
    shares = torch.rand(per_image(real), generator=torch.Generator().manual_seed(seed)).to(real)
    return norm_penalty(discriminator, mix(real, fake, shares), target)


def per_image(images: Tensor) -> tuple[int, ...]:
    """Return the shape of one number per image that broadcasts with images."""
    return (len(images), *(1 for _ in images.shape[1:]))


def mix(real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Interpolate between generated images (share 0) and real ones (share 1).

    Raises:
        ValueError: The shapes differ.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"the gradient penalty mixes each real image with a generated one, but real ones have the shape "
            f"{tuple(real.shape)} and generated ones {tuple(fake.shape)}: give equal batches"
        )
    return fake + shares * (real - fake)


def norm_penalty(discriminator: Discriminate, images: Tensor, target: float) -> Tensor:
    """Return the mean squared distance of gradient norms from a target; the derivative at a zero gradient is 0."""
    return (root(squared_norm(input_gradient(discriminator, images)[1])) - target).square().mean()


class GradientPenalty(DiscriminatorRegulariser):
    """The gradient penalty of WGAN-GP, at a random mix of each real and generated image, with the real one's label.

    Args:
        weight: What the mean (|gradient| - target)² is multiplied by (10 in Gulrajani et al., 2017).
        target: The norm that costs nothing.
        every_n_steps: 1 adds it to the loss of each step; n > 1 makes it a step of its own, every n steps and n times
            as strong.
    """

    differentiates = True

    def __init__(
        self,
        weight: Annotated[float, Bound(0)] = 10.0,
        target: Annotated[float, Bound(0)] = 1.0,
        every_n_steps: Annotated[int, Bound(1)] = 1,
    ) -> None:
        super().__init__(weight, every_n_steps)
        self.target = target

    def draw(self, real: Tensor) -> dict[str, Tensor]:
        """Draw the shares of the real images."""
        return {"shares": torch.rand(per_image(real), dtype=real.dtype, device=real.device)}

    def forward(self, phase: DiscriminatorPhase, drawn: dict[str, Tensor]) -> Tensor:
        """Return the penalty at the mixes."""
        assert phase.fake is not None
        mixes = mix(phase.real, phase.fake, drawn["shares"])
        return norm_penalty(lambda images: phase.discriminate(images, phase.real_labels), mixes, self.target)
