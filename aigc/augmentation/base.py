"""Base classes of augmentations: one that changes images, and one that applies transforms in order."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from aigc.config.types import Bound


class Augmentation(nn.Module, ABC):
    """Base class of augmentations: change what the discriminator sees, real and generated images alike; differentiable.

    It works on whole batches, on their device, and draws from the global generator of that device.

    Attributes:
        probability: How likely each change is, a float32 scalar buffer, and so in each checkpoint.
    """

    probability: Tensor
    reads_signs: ClassVar[bool] = False
    """Whether it uses the signs of logits, which then must mean real or generated."""

    def __init__(self, probability: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("probability", torch.tensor(float(probability)))

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Change images of shape (n, channels, height, width) from -1 to 1; shape and dtype stay."""

    def adapt(self, real_logits: Tensor) -> None:
        """Adapt to the logits of real images, (n,), after each step of the discriminator; by default do nothing."""


Transform = Callable[[Tensor, Tensor], Tensor]
"""Changes floating images of shape (n, channels, height, width), each with a probability, a scalar tensor.

It keeps shape and dtype, and reads no number back from the device. At probability 0 the result is bit-identical.
"""


class OwnTransform(ABC):
    """Base class of transforms that a config adds to a grouped augmentation, such as `AdaptiveAugment`.

    Args:
        share: Factor of the augmentation's probability.
    """

    def __init__(self, share: Annotated[float, Bound(0, 1)] = 1.0) -> None:
        self.share = share

    @abstractmethod
    def __call__(self, images: Tensor, probability: Tensor) -> Tensor:
        """Change images, each with the probability; see `Transform`."""


class Pipeline(Augmentation):
    """Transforms in sequence, in float32 for any dtype of images and any precision of training (float64 stays).

    Args:
        transforms: The transforms in order, each with its share of `probability`.
        probability: How likely each change is, from 0 to 1.
    """

    def __init__(self, transforms: Sequence[tuple[Transform, float]], probability: float = 1.0) -> None:
        super().__init__(probability)
        self.transforms = list(transforms)

    def forward(self, images: Tensor) -> Tensor:
        """Change images of shape (n, channels, height, width) from -1 to 1.

        Returns:
            Of the same shape, dtype and order in memory; a change of colour may leave -1 to 1.

        Raises:
            TypeError: The images are not floating.
        """
        if not images.is_floating_point():
            raise TypeError(f"images are {images.dtype}; bring them to -1 ... 1 first")
        last = images.is_contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, enabled=False):
            changed = images if images.dtype == torch.float64 else images.float()
            for transform, share in self.transforms:
                changed = transform(changed, self.probability * share)
        changed = changed.to(images.dtype)
        return changed.contiguous(memory_format=torch.channels_last) if last else changed
