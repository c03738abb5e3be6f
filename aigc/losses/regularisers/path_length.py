"""Path length regularisation: equal steps of the styles change images equally."""

from typing import Annotated

import torch
from torch import Tensor, nn

from aigc.config.types import Bound
from aigc.distributed.collectives import all_mean
from aigc.losses.base import GeneratorRegulariser
from aigc.losses.precision import at_least_float32
from aigc.losses.regularisers.input_gradient import root
from aigc.models.images.gan.base import StyleGenerator


def path_length_penalty(
    images: Tensor, styles: Tensor, noise: Tensor, average: Tensor, decay: float = 0.01
) -> tuple[Tensor, Tensor]:
    """Compute the mean (length - average)² of path lengths |J^T noise| (Karras et al., 2020).

    J is the derivative of images by styles. The conventions are those of StyleGAN2's code: noise is divided by the root
    of the number of pixels, squares are summed over the width of styles and averaged over layers. Its average is a
    constant here, without a derivative by its own small share of the present batch.

    Args:
        images: With the graph from the styles, (n, channels, height, width).
        styles: What they were made of, (n, width) or (n, layers, width), requiring a gradient.
        noise: Standard normal, of the images' shape.
        average: Moving average of lengths, a scalar.
        decay: Share of the present batch in the new average.

    Returns:
        The penalty, a scalar without the weight, differentiable by the generator's weights; and the new average over
        all ranks, which the penalty is taken from.
    """
    pixels = images.shape[-2] * images.shape[-1]
    projected = (at_least_float32(images) * noise).sum() / pixels**0.5
    (gradient,) = torch.autograd.grad(projected, styles, create_graph=True)
    squares = at_least_float32(gradient).square().sum(-1)
    lengths = root(squares.view(len(squares), -1).mean(1))
    present = all_mean(lengths.detach().mean())
    new_average = average + decay * (present - average)
    return (lengths - new_average).square().mean(), new_average


class PathLength(GeneratorRegulariser):
    """Path length regularisation, with respect to the styles of the generator where it has them, else to its latents.

    Each micro-batch moves the average, as in the code of Karras et al.

    Args:
        weight: What the mean (length - average)² is multiplied by (2 in the code of Karras et al., 2020).
        decay: Share of the present batch in the moving average of lengths.
        every_n_steps: 1 adds it to the loss of each step; n > 1 makes it a step of its own, every n steps and n times
            as strong.
    """

    average: Tensor

    def __init__(
        self,
        weight: Annotated[float, Bound(0)] = 2.0,
        decay: Annotated[float, Bound(0, 1)] = 0.01,
        every_n_steps: Annotated[int, Bound(1)] = 4,
    ) -> None:
        super().__init__(weight, every_n_steps)
        self.decay = decay
        self.register_buffer("average", torch.zeros(()))

    def forward(self, generator: nn.Module, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Return the penalty for new generated images; the noise is drawn from the global generator of their device."""
        if isinstance(generator, StyleGenerator):
            styles = at_least_float32(generator.mapping(latents, labels))
            styles = styles if styles.requires_grad else styles.detach().requires_grad_()  # of a frozen mapping
            images = generator.synthesis(styles)
        else:
            styles = latents.detach().flatten(1).requires_grad_()
            images = generator(styles.view_as(latents), labels)
        noise = torch.randn_like(at_least_float32(images))
        penalty, average = path_length_penalty(images, styles, noise, self.average, self.decay)
        self.average.copy_(average)
        return penalty
