"""The LeCam penalty: logits that stay near their moving averages."""

from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.config.types import Bound
from aigc.distributed.collectives import all_mean
from aigc.losses.base import DiscriminatorPhase, DiscriminatorRegulariser
from aigc.losses.precision import at_least_float32


def lecam_penalty(
    real_logits: Tensor, fake_logits: Tensor, real_average: Tensor | float, fake_average: Tensor | float
) -> Tensor:
    """Compute mean max(0, real - fake_average)² + mean max(0, real_average - fake)² (Tseng et al., 2021).

    The paper's formula has no max(0, ·); the authors' code has, with which the paper's scores were made. The two are
    equal wherever the logits of each kind lie beyond the average of the other kind.

    Args:
        real_logits: Of real images, (n,).
        fake_logits: Of generated images, (n,).
        real_average: Moving average of the logits of real images, a constant.
        fake_average: The same of generated ones.

    Returns:
        A scalar without the weight.
    """
    above = F.relu(at_least_float32(real_logits) - fake_average)
    below = F.relu(real_average - at_least_float32(fake_logits))
    return above.square().mean() + below.square().mean()


class LeCam(DiscriminatorRegulariser):
    """The LeCam penalty, for small data sets. Its moving averages cover all ranks and include the current batch.

    Each micro-batch moves the averages, so that several of them need a `decay` nearer to 1.

    Args:
        weight: What the penalty is multiplied by (0.3 for CIFAR-10 in Tseng et al., 2021).
        decay: How much of the averages stays from step to step; they begin without bias towards 0.
    """

    real_average: Tensor
    fake_average: Tensor
    mass: Tensor
    """The sum of the weights of all steps so far, from 0 to 1, which unbiases the averages from the first on."""

    def __init__(
        self, weight: Annotated[float, Bound(0)] = 0.3, decay: Annotated[float, Bound(0, 0.9999)] = 0.99
    ) -> None:
        super().__init__(weight)
        self.decay = decay
        for name in ("real_average", "fake_average", "mass"):
            self.register_buffer(name, torch.zeros(()))

    def forward(self, phase: DiscriminatorPhase, drawn: dict[str, Tensor]) -> Tensor:
        """Update the moving averages, then return the penalty."""
        assert phase.fake_logits is not None
        self._remember(phase.real_logits, phase.fake_logits)
        return lecam_penalty(phase.real_logits, phase.fake_logits, self.real_average, self.fake_average)

    @torch.no_grad()
    def _remember(self, real_logits: Tensor, fake_logits: Tensor) -> None:
        both = torch.stack([at_least_float32(logits).mean() for logits in (real_logits, fake_logits)])
        real, fake = all_mean(both.to(self.mass)).unbind()
        self.mass.mul_(self.decay).add_(1 - self.decay)
        share = (1 - self.decay) / self.mass
        self.real_average.lerp_(real, share)
        self.fake_average.lerp_(fake, share)
