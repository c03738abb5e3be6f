"""The hinge loss."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.losses.base import AdversarialLoss
from aigc.losses.precision import at_least_float32


class Hinge(AdversarialLoss):
    """The discriminator learns only from images within its margin (Lim and Ye, 2017; Miyato et al., 2018)."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Mean max(0, 1 - real) + mean max(0, 1 + fake)."""
        return F.relu(1 - at_least_float32(real_logits)).mean() + F.relu(1 + at_least_float32(fake_logits)).mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """-mean fake."""
        return -at_least_float32(fake_logits).mean()
