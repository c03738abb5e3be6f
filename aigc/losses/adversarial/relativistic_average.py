"""The relativistic average loss."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.distributed.collectives import all_mean
from aigc.losses.base import AdversarialLoss
from aigc.losses.precision import at_least_float32


class RelativisticAverage(AdversarialLoss):
    """Logits of each kind less the mean logit of the other kind (Jolicoeur-Martineau, 2018).

    The averages are those of the batch on all ranks, and have derivatives. They are of what is seen at once: a batch
    in several micro-batches has several. Not halved, as in the paper. It depends on differences of logits alone.
    """

    compares = True
    centred = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """-mean log sigmoid(real - mean fake) - mean log(1 - sigmoid(fake - mean real))."""
        above, below = _differences(real_logits, fake_logits)
        return F.softplus(-above).mean() + F.softplus(below).mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """-mean log sigmoid(fake - mean real) - mean log(1 - sigmoid(real - mean fake)).

        Raises:
            ValueError: There are no real logits.
        """
        above, below = _differences(real_logits, fake_logits)
        return F.softplus(-below).mean() + F.softplus(above).mean()


def _differences(real_logits: Tensor | None, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return real logits less the mean generated one, and generated logits less the mean real one."""
    if real_logits is None:
        raise ValueError("the relativistic average loss compares: its generator, too, needs the logits of real images")
    real, fake = at_least_float32(real_logits), at_least_float32(fake_logits)
    real_average, fake_average = all_mean(torch.stack([real.mean(), fake.mean()])).unbind()
    return real - fake_average, fake - real_average
