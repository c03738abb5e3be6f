"""The non-saturating loss, the usual choice."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.losses.adversarial.minimax import Minimax
from aigc.losses.precision import at_least_float32


class NonSaturating(Minimax):
    """The discriminator loss of `minimax`, with a generator loss that does not saturate.

    Goodfellow et al. (2014); the logistic loss of StyleGAN (Karras et al., 2019).
    """

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """-mean log sigmoid(fake): binary cross-entropy of the generated images with the label real."""
        return F.softplus(-at_least_float32(fake_logits)).mean()
