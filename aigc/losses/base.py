"""What adversarial losses and regularisers are, and what a training step shows them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor, nn

from aigc.config.types import Bound


class AdversarialLoss(ABC):
    """What discriminator and generator minimise, as means over the batch.

    Logits are float tensors of one shape, (n,) or (n, height, width), the higher the more real the discriminator takes
    an image for. The losses are float scalars.
    """

    compares: ClassVar[bool] = False
    """Whether the generator's loss needs the logits of real images; otherwise they may be None."""
    centred: ClassVar[bool] = True
    """Whether logits above 0 mean real; otherwise only differences do, or another number lies between."""

    @abstractmethod
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """What the discriminator minimises."""

    @abstractmethod
    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """What the generator minimises."""


@dataclass(frozen=True)
class DiscriminatorPhase:
    """What a regulariser of the discriminator sees. Images are what the discriminator was shown, augmented.

    What is of generated images may be None where all regularisers of the step have `needs_fake` false.

    Attributes:
        judge: (images, labels) to one number for each image, (n,); differentiable twice.
        real: Real images, (n, channels, height, width).
        fake: Generated images, of the same shape.
        real_labels: Classes of the real images, int64 (n,), or None.
        fake_labels: Classes that were asked for.
        real_logits: What `judge` says of the real images, with its graph.
        fake_logits: What it says of the generated ones.
        real_gradient: Derivative of the sum of `real_logits` with respect to the real images before augmentation,
            itself differentiable; only for regularisers that ask for it.
        fake_gradient: The same of the generated images.
    """

    judge: Callable[[Tensor, Tensor | None], Tensor]
    real: Tensor
    fake: Tensor | None
    real_labels: Tensor | None
    fake_labels: Tensor | None
    real_logits: Tensor
    fake_logits: Tensor | None
    real_gradient: Tensor | None = None
    fake_gradient: Tensor | None = None


class Regulariser(nn.Module, ABC):
    """A penalty on top of an adversarial loss; what it has to remember are buffers, and so in each checkpoint.

    Args:
        weight: What the plain penalty is multiplied by.
        every_n_steps: 1 adds it to each step's loss. More makes it a step of its own, every so many steps and so many
            times as strong ("lazy", Karras et al., 2020), and scales learning rate and betas to match.
        final_weight: What the weight comes to at the end of the run; None leaves it.
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
        """Set the weight of a step: the first one at 0, the final one at 1."""
        self.weight = self._first_weight + (self._final_weight - self._first_weight) * share


class DiscriminatorRegulariser(Regulariser):
    """A penalty in the discriminator's phase."""

    real_gradient: ClassVar[bool] = False
    """Whether it looks at `DiscriminatorPhase.real_gradient`."""
    fake_gradient: ClassVar[bool] = False
    """Whether it looks at `DiscriminatorPhase.fake_gradient`."""
    needs_fake: ClassVar[bool] = True
    """Whether it looks at generated images; where nothing does, none are generated."""
    differentiates: ClassVar[bool] = False
    """Whether it takes a derivative with respect to images at all: no batch normalisation and no float16 then."""

    def draw(self, real: Tensor) -> dict[str, Tensor]:
        """What is random in it, from the global generator; apart from `forward`, which may be compiled.

        Args:
            real: Real images, of whose shape, dtype and device it may be.
        """
        return {}

    @abstractmethod
    def forward(self, phase: DiscriminatorPhase, drawn: dict[str, Tensor]) -> Tensor:
        """The plain penalty, a scalar, before the weight."""


class GeneratorRegulariser(Regulariser):
    """A penalty in the generator's phase."""

    @abstractmethod
    def forward(self, generator: nn.Module, latents: Tensor, labels: Tensor | None) -> Tensor:
        """The plain penalty, a scalar, before the weight.

        Args:
            generator: The `aigc.models.images.base.ImageGenerator` that is trained.
            latents: Fresh ones, (n, *latent_shape).
            labels: int64 (n,), or None.
        """
