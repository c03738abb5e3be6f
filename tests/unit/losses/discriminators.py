"""Discriminators with derivatives that can be written down."""

import torch
from torch import Tensor, nn

from aigc.losses import DiscriminatorPhase, input_gradient


def images(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Quadratic(nn.Module):
    """x^T A x / 2 + b^T x of flat images, in float64; its gradient is (A + A^T) x / 2 + b."""

    def __init__(self, size: int, curved: bool = True) -> None:
        super().__init__()
        self.matrix = nn.Parameter(images(size, size, seed=7) if curved else torch.zeros(size, size).double())
        self.slope = nn.Parameter(images(size, seed=8))

    def forward(self, pixels: Tensor, labels: Tensor | None = None) -> Tensor:
        flat = pixels.flatten(1)
        return torch.einsum("ni,ij,nj->n", flat, self.matrix, flat) / 2 + flat @ self.slope

    def gradient(self, pixels: Tensor) -> Tensor:
        """By hand, flat."""
        return (pixels.flatten(1) @ (self.matrix + self.matrix.T) / 2 + self.slope).detach()

    def weight_gradients(self, pixels: Tensor, shares: Tensor | float = 1.0) -> list[Tensor]:
        """By hand: derivatives of mean share * |gradient|² by matrix and slope, with constant shares of the images."""
        flat, gradient = pixels.flatten(1), self.gradient(pixels)
        weighted = gradient * shares / len(flat)
        outer = weighted.T @ flat
        return [outer + outer.T, 2 * weighted.sum(0)]


class Convolutional(nn.Module):
    """A small network with the usual parts; grouped by classes where it gets labels."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.last = nn.Linear(4, 1)

    def forward(self, pixels: Tensor, labels: Tensor | None = None) -> Tensor:
        seen = nn.functional.leaky_relu(self.first(pixels), 0.2)
        seen = torch.tanh(self.second(seen))
        return self.last(seen.mean((2, 3)))[:, 0]


def phase_of(discriminator: nn.Module, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> DiscriminatorPhase:
    """What a training step shows the regularisers."""
    real_logits, real_gradient = input_gradient(lambda pixels: discriminator(pixels, labels), real)
    fake_logits, fake_gradient = input_gradient(lambda pixels: discriminator(pixels, labels), fake)
    return DiscriminatorPhase(
        discriminator, real, fake, labels, labels, real_logits, fake_logits, real_gradient, fake_gradient
    )
