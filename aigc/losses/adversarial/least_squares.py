"""The least squares loss."""

from torch import Tensor

from aigc.losses.base import AdversarialLoss
from aigc.losses.precision import at_least_float32


class LeastSquares(AdversarialLoss):
    """Logits are drawn to 1 for real and to 0 for made images (Mao et al., 2017); without the paper's halves.

    Logits near 0.5 say that the discriminator cannot tell, unlike with the other losses.
    """

    centred = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Mean (real - 1)² + mean fake²."""
        return (at_least_float32(real_logits) - 1).square().mean() + at_least_float32(fake_logits).square().mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """Mean (fake - 1)²."""
        return (at_least_float32(fake_logits) - 1).square().mean()
