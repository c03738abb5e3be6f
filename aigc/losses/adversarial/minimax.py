"""The minimax loss of the first GANs, which saturates."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.losses.base import AdversarialLoss
from aigc.losses.precision import at_least_float32


class Minimax(AdversarialLoss):
    """Both networks play for one value, the log-likelihood of the discriminator (Goodfellow et al., 2014).

    The generator minimises mean log(1 - sigmoid(fake)), whose derivative vanishes where the discriminator
    rejects all generated images; `non_saturating` is the remedy of the same paper.
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """-mean log sigmoid(real) - mean log(1 - sigmoid(fake)): the sum of two binary cross-entropies, not halved."""
        return F.softplus(-at_least_float32(real_logits)).mean() + F.softplus(at_least_float32(fake_logits)).mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """Mean log(1 - sigmoid(fake)), which is never positive."""
        return -F.softplus(at_least_float32(fake_logits)).mean()
