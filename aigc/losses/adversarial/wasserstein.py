"""The Wasserstein loss."""

from torch import Tensor

from aigc.losses.base import AdversarialLoss
from aigc.losses.precision import at_least_float32


class Wasserstein(AdversarialLoss):
    """The difference of mean logits (Arjovsky et al., 2017).

    It is a distance only of a discriminator whose slope is bounded: by a gradient penalty (Gulrajani et al., 2017) or
    by spectral normalisation.
    """

    centred = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Mean fake - mean real: the estimated distance, negated."""
        return at_least_float32(fake_logits).mean() - at_least_float32(real_logits).mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """-mean fake."""
        return -at_least_float32(fake_logits).mean()
