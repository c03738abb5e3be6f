"""Base classes of augmentations: one that changes images, and one that applies transforms in order."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn


class Augmentation(nn.Module, ABC):
    """Changes whatever the discriminator is shown, real and made images alike; differentiable by the images.

    It works on whole batches, on their device, and draws from the global generator of that device.

    Attributes:
        probability: How likely each change is, a float32 scalar buffer, and so in each checkpoint.
    """

    probability: Tensor
    reads_signs: ClassVar[bool] = False
    """Whether it goes by the signs of logits, so that these have to mean something."""

    def __init__(self, probability: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("probability", torch.tensor(float(probability)))

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Change images of shape (n, channels, height, width) from -1 to 1; shape and dtype stay."""

    def adapt(self, real_logits: Tensor) -> None:
        """Learn from what the discriminator says of real images, (n,), at each of its steps; most have nothing to."""


Transform = Callable[[Tensor, Tensor], Tensor]
"""Changes floating images of shape (n, channels, height, width), each with a probability, a scalar tensor.

It keeps shape and dtype, and reads no number back from the device. At probability 0 it gives back the very bits.
"""


class Pipeline(Augmentation):
    """Transforms in a row, in float32 whatever the images' dtype and the precision of the training (float64 stays).

    Args:
        transforms: What is done, in this order, and by what share of `probability`.
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
