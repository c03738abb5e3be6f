"""Base classes of adversarial losses and regularisers, and what a training step passes to them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor, nn

from aigc.config.types import Bound


class AdversarialLoss(ABC):
    """Base class of adversarial losses of discriminator and generator, as means over the batch.

    Logits are float tensors of one shape, (n,) or (n, height, width), higher means more real. The
    losses are float scalars.
    """

    compares: ClassVar[bool] = False
    """Whether the generator's loss needs the logits of real images; otherwise they may be None."""
    centred: ClassVar[bool] = True
    """Whether logits above 0 mean real; otherwise only differences do, or another number lies between."""

    @abstractmethod
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the loss of the discriminator."""

    @abstractmethod
    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """Return the loss of the generator."""


@dataclass(frozen=True)
class DiscriminatorPhase:
    """Input of a regulariser of the discriminator. Images are augmented, as the discriminator sees them.

    Fields of generated images may be None where no regulariser of the step needs them (`needs_fake`).

    Attributes:
        discriminate: Maps (images, labels) to one number per image, (n,); twice differentiable.
        real: Real images, (n, channels, height, width).
        fake: Generated images, of the same shape.
        real_labels: Classes of the real images, int64 (n,), or None.
        fake_labels: Classes that the generated images were conditioned on.
        real_logits: Output of `discriminate` for the real images, with its graph.
        fake_logits: The same for the generated images.
        real_gradient: Derivative of the sum of `real_logits` with respect to the real images before augmentation,
            itself differentiable; only for regularisers that ask for it.
        fake_gradient: The same of the generated images.
    """

    discriminate: Callable[[Tensor, Tensor | None], Tensor]
    real: Tensor
    fake: Tensor | None
    real_labels: Tensor | None
    fake_labels: Tensor | None
    real_logits: Tensor
    fake_logits: Tensor | None
    real_gradient: Tensor | None = None
    fake_gradient: Tensor | None = None


class Regulariser(nn.Module, ABC):
    """A penalty added to an adversarial loss. Its state is kept in buffers, and so in each checkpoint.

    Args:
        weight: Factor of the plain penalty.
        every_n_steps: 1 adds it to the loss of each step. n > 1 makes it a step of its own, every n steps and n
            times as strong ("lazy", Karras et al., 2020), and scales learning rate and betas to match.
        final_weight: Weight at the end of the run; None keeps the weight constant.
    """

    def __init__(
        self,
        weight: Annotated[float, Bound(0)],
        every_n_steps: Annotated[int, Bound(1)] = 1,
        final_weight: Annotated[float, Bound(0)] | None = None,
    ) -> None:
        super().__init__()
        self.weight = self._first_weight = weight
        self.every_n_steps = every_n_steps
        self._final_weight = weight if final_weight is None else final_weight

    def advance(self, share: float) -> None:
        """Set the weight for a share of the run, from 0 (first weight) to 1 (final weight)."""
        self.weight = self._first_weight + (self._final_weight - self._first_weight) * share


class DiscriminatorRegulariser(Regulariser):
    """A penalty in the discriminator's phase."""

    real_gradient: ClassVar[bool] = False
    """Whether it uses `DiscriminatorPhase.real_gradient`."""
    fake_gradient: ClassVar[bool] = False
    """Whether it uses `DiscriminatorPhase.fake_gradient`."""
    needs_fake: ClassVar[bool] = True
    """Whether it uses generated images; where no regulariser does, none are generated."""
    differentiates: ClassVar[bool] = False
    """Whether it takes a derivative with respect to images at all: no batch normalisation and no float16 then."""

    def draw(self, real: Tensor) -> dict[str, Tensor]:
        """Draw its random numbers from the global generator; apart from `forward`, which may be compiled.

        Args:
            real: Real images; they give shape, dtype and device.
        """
        return {}

    @abstractmethod
    def forward(self, phase: DiscriminatorPhase, drawn: dict[str, Tensor]) -> Tensor:
        """Return the plain penalty, a scalar, before the weight."""


class GeneratorRegulariser(Regulariser):
    """A penalty in the generator's phase."""

    @abstractmethod
    def forward(self, generator: nn.Module, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Return the plain penalty, a scalar, before the weight.

        Args:
            generator: The `aigc.models.images.base.ImageGenerator` that is trained.
            latents: Fresh ones, (n, *latent_shape).
            labels: int64 (n,), or None.
        """
