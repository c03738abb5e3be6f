"""What augmentations of images during adversarial training have in common."""

from abc import ABC, abstractmethod
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
