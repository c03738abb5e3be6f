"""The R1 penalty: small gradients of the discriminator at real images."""

from typing import Annotated

from torch import Tensor

from aigc.config.types import Bound
from aigc.losses.base import DiscriminatorPhase, DiscriminatorRegulariser
from aigc.losses.regularisers.input_gradient import Discriminate, input_gradient, squared_norm


def r1_penalty(discriminator: Discriminate, real: Tensor) -> Tensor:
    """Compute the mean squared norm of the gradient at real images (Mescheder et al., 2018), without gamma / 2.

    Args:
        discriminator: Maps images to one number each, (n,), or to a `DiscriminatorOutput`.
        real: Real images, (n, ...).

    Returns:
        A scalar, differentiable by the discriminator's weights.
    """
    return squared_norm(input_gradient(discriminator, real)[1]).mean()


class R1(DiscriminatorRegulariser):
    """The R1 penalty: gamma / 2 times the mean squared norm of the gradient at real images.

    Args:
        gamma: Strength; halved, as in the paper (Mescheder et al., 2018).
        every_n_steps: 1 adds it to the loss of each step; n > 1 makes it a step of its own, every n steps and n times
            as strong.
        final_gamma: What the strength comes to at the end of the run, on half a cosine, as in R3GAN; None leaves it.
    """

    real_gradient = True
    differentiates = True
    needs_fake = False

    def __init__(
        self,
        gamma: Annotated[float, Bound(0)],
        every_n_steps: Annotated[int, Bound(1)] = 1,
        final_gamma: Annotated[float, Bound(0)] | None = None,
    ) -> None:
        super().__init__(gamma / 2, every_n_steps, None if final_gamma is None else final_gamma / 2)

    def forward(self, phase: DiscriminatorPhase, drawn: dict[str, Tensor]) -> Tensor:
        """Return the mean squared norm at the real images."""
        assert phase.real_gradient is not None
        return squared_norm(phase.real_gradient).mean()
