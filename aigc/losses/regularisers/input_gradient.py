"""The gradient of a discriminator with respect to its input."""

from collections.abc import Callable

import torch
from torch import Tensor

from aigc.losses.precision import at_least_float32
from aigc.models.images.gan.base import DiscriminatorOutput

Discriminate = Callable[[Tensor], Tensor | DiscriminatorOutput]
"""A discriminator: maps images to one number each, (n,), or to an output whose `per_image` is differentiated."""


def input_gradient(discriminate: Discriminate, images: Tensor) -> tuple[Tensor, Tensor]:
    """Apply a discriminator and differentiate its output with respect to the images, in one forward pass.

    Both results can be differentiated further, with respect to the weights, also inside a compiled function,
    where `torch.autograd.grad` is not supported. The discriminator must not change its buffers meanwhile: no batch
    normalisation.

    Args:
        discriminate: The discriminator.
        images: (n, ...), of a float type.

    Returns:
        One number for each image, (n,), and the derivative of their sum by the images, of their shape and dtype.
    """

    def summed(pixels: Tensor) -> tuple[Tensor, Tensor]:
        output = discriminate(pixels)
        values = output if isinstance(output, Tensor) else output.per_image()
        return at_least_float32(values).sum(), values

    gradient, values = torch.func.grad(summed, has_aux=True)(images)
    return values, gradient


def squared_norm(gradient: Tensor) -> Tensor:
    """Return the sum of squares of the gradient per image, (n,); in float32, or in float64 of a float64 gradient."""
    return at_least_float32(gradient).flatten(1).square().sum(1)


def root(squares: Tensor) -> Tensor:
    """Return the square root, with derivative 0 at 0, where it has none."""
    zero = squares == 0
    return squares.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
