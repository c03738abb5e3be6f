"""The least squares loss."""

from torch import Tensor

from aigc.losses.base import AdversarialLoss
from aigc.losses.precision import at_least_float32


class LeastSquares(AdversarialLoss):
    """Squared distance of logits to 1 for real, to 0 for generated images (Mao et al., 2017), without factors 1/2.

    A logit of 0.5 means undecided; with the other losses it is 0.
    """

    centred = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Mean (real - 1)² + mean fake²."""
        return (at_least_float32(real_logits) - 1).square().mean() + at_least_float32(fake_logits).square().mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """Mean (fake - 1)²."""
        return (at_least_float32(fake_logits) - 1).square().mean()
