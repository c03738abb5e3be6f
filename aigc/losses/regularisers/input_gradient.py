"""By how much a discriminator's answers change with the pixels."""

from collections.abc import Callable

import torch
from torch import Tensor

from aigc.losses.precision import at_least_float32
from aigc.models.images.gan.base import DiscriminatorOutput

Judge = Callable[[Tensor], Tensor | DiscriminatorOutput]
"""A discriminator: images to one number for each, (n,), or to a judgement, of which `per_image` is differentiated."""


def input_gradient(judge: Judge, images: Tensor) -> tuple[Tensor, Tensor]:
    """Judge images, and differentiate the judgement with respect to them, in one forward pass.

    Both results can be differentiated further, by the discriminator's weights, also inside of a compiled function,
    where `torch.autograd.grad` cannot stand. The discriminator must not change its buffers meanwhile: no batch
    normalisation.

    Args:
        judge: Images to one number for each, (n,), or to a judgement, of which `per_image` is differentiated.
        images: (n, ...), of a float type.

    Returns:
        One number for each image, (n,), and the derivative of their sum by the images, of their shape and dtype.
    """

    def summed(pixels: Tensor) -> tuple[Tensor, Tensor]:
        answer = judge(pixels)
        values = answer if isinstance(answer, Tensor) else answer.per_image()
        return at_least_float32(values).sum(), values

    gradient, values = torch.func.grad(summed, has_aux=True)(images)
    return values, gradient


def squared_norm(gradient: Tensor) -> Tensor:
    """The sum of squares of each image's gradient, (n,); in float32, or in float64 of a float64 gradient."""
    return at_least_float32(gradient).flatten(1).square().sum(1)


def root(squares: Tensor) -> Tensor:
    """The square root, with the derivative 0 at 0, where it has none."""
    zero = squares == 0
    return squares.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
