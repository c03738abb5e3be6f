"""The loss of the first GANs, in the form that everybody trains with."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.losses.adversarial.minimax import Minimax
from aigc.losses.precision import at_least_float32


class NonSaturating(Minimax):
    """The discriminator of `minimax`, and a generator that still learns while it is seen through.

    Goodfellow et al. (2014); the logistic loss of StyleGAN (Karras et al., 2019).
    """

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """-mean log sigmoid(fake): binary cross-entropy with the made images called real."""
        return F.softplus(-at_least_float32(fake_logits)).mean()
