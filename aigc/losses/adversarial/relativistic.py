"""The relativistic loss of pairs."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.losses.base import AdversarialLoss
from aigc.losses.precision import at_least_float32


class Relativistic(AdversarialLoss):
    """The logit of a real image less that of a generated one, pair by pair (Jolicoeur-Martineau, 2018).

    The loss of R3GAN (Huang et al., 2025), beside R1 and R2. It depends on differences of logits alone.
    """

    compares = True
    centred = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """-mean log sigmoid(real - fake).

        Raises:
            ValueError: There are not as many real images as generated ones.
        """
        return F.softplus(-_differences(real_logits, fake_logits)).mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """-mean log sigmoid(fake - real).

        Raises:
            ValueError: There are no real logits, or not as many as generated ones.
        """
        return F.softplus(_differences(real_logits, fake_logits)).mean()


def _differences(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    if real_logits is None:
        raise ValueError("the relativistic loss compares: its generator, too, needs the logits of real images")
    if real_logits.shape != fake_logits.shape:
        raise ValueError(
            f"the relativistic loss compares each real image with a generated one, but real logits have the shape "
            f"{tuple(real_logits.shape)} and fake ones {tuple(fake_logits.shape)}: give equal batches, or take "
            "relativistic_average"
        )
    return at_least_float32(real_logits) - at_least_float32(fake_logits)
