"""The gradient penalty of WGAN-GP: a slope of 1 between real and made images."""

from typing import Annotated

import torch
from torch import Tensor

from aigc.config.types import Bound
from aigc.losses.base import DiscriminatorPhase, DiscriminatorRegulariser
from aigc.losses.regularisers.input_gradient import Judge, input_gradient, root, squared_norm


def gradient_penalty(discriminator: Judge, real: Tensor, fake: Tensor, seed: int, target: float = 1.0) -> Tensor:
    """Compute the mean (|gradient| - target)² at random mixes of real and made images (Gulrajani et al., 2017).

    Args:
        discriminator: Images to one number for each, (n,), or to a judgement.
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
    """The shape of one number for each image, that broadcasts with them."""
    return (len(images), *(1 for _ in images.shape[1:]))


def mix(real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Points on the lines from made images, share 0, to real ones, share 1.

    Raises:
        ValueError: The shapes differ.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"the gradient penalty mixes each real image with a made one, but real ones have the shape "
            f"{tuple(real.shape)} and made ones {tuple(fake.shape)}: give equal batches"
        )
    return fake + shares * (real - fake)


def norm_penalty(discriminator: Judge, images: Tensor, target: float) -> Tensor:
    """The mean squared distance of the gradient's norm from a target; where the gradient is 0, its derivative is 0."""
    return (root(squared_norm(input_gradient(discriminator, images)[1])) - target).square().mean()


class GradientPenalty(DiscriminatorRegulariser):
    """The gradient penalty of WGAN-GP, at a random mix of each real and made image, with the real one's label.

    Args:
        weight: What the mean (|gradient| - target)² is multiplied by (10 in Gulrajani et al., 2017).
        target: The norm that costs nothing.
        every_n_steps: 1 adds it to each step's loss; more makes it a step of its own, every so many and so many times
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
        """The shares of the real images."""
        return {"shares": torch.rand(per_image(real), dtype=real.dtype, device=real.device)}

    def forward(self, phase: DiscriminatorPhase, drawn: dict[str, Tensor]) -> Tensor:
        """The penalty at the mixes."""
        assert phase.fake is not None
        mixes = mix(phase.real, phase.fake, drawn["shares"])
        return norm_penalty(lambda images: phase.judge(images, phase.real_labels), mixes, self.target)
