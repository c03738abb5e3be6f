"""Generators of a few hundred parameters: one with classes, one with styles and noise; also as a person's package."""

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from aigc.config.types import Bound
from aigc.models.images.gan import Generator, StyleGenerator


class TinyGenerator(Generator):
    """A linear layer and a convolution with batch and spectral normalisation.

    Args:
        resolution: Height and width.
        channels: 1 or 3.
        classes: How many; 0 for none.
        width: Maps in between.
    """

    def __init__(self, resolution: int, channels: int, classes: int = 0, width: Annotated[int, Bound(1)] = 4) -> None:
        super().__init__(resolution, channels, classes)
        if resolution % 2:
            raise ValueError(f"resolution {resolution} is odd")
        self.latent_shape = (5,)
        self.size = resolution // 2
        self.embedding = nn.Embedding(classes, 5) if classes else None
        self.linear = nn.Linear(5, width * self.size**2)
        self.norm = nn.BatchNorm2d(width)
        self.last = nn.utils.parametrizations.spectral_norm(nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        given = latents if self.embedding is None else latents + self.embedding(labels)
        maps = self.norm(self.linear(given).view(-1, self.norm.num_features, self.size, self.size))
        return torch.tanh(3 * self.last(nn.functional.interpolate(maps, scale_factor=2)))


class TinyStyles(StyleGenerator):
    """Four layers, a patch of the image each, and noise everywhere.

    Args:
        resolution: Height and width.
        channels: 1 or 3.
        classes: How many; 0 for none.
        noise: How strong the noise is.
    """

    def __init__(self, resolution: int, channels: int, classes: int = 0, noise: float = 0.3) -> None:
        super().__init__(resolution, channels, classes)
        self.latent_shape = (5,)
        self.noise = noise
        self.embedding = nn.Embedding(classes, 5) if classes else None
        self.to_style = nn.Linear(5, 3)
        self.layers = nn.Parameter(torch.randn(4, 3, channels * resolution**2))
        self.register_buffer("average_style", torch.tensor([0.5, -0.5, 0.25]))

    def mapping(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        given = latents if self.embedding is None else latents + self.embedding(labels)
        return self.to_style(given)[:, None].repeat(1, 4, 1)

    def synthesis(self, styles: Tensor) -> Tensor:
        flat = torch.einsum("nlw,lwp->np", styles, self.layers)
        images = flat.view(-1, self.channels, self.resolution, self.resolution)
        return torch.tanh(images / 3 + self.noise * torch.randn_like(images[:, :1]))


def generator(kind: str = "TinyGenerator", classes: int = 0, module: str = "", **settings: Any) -> tuple[Any, Any]:
    """A generator with random but fixed weights, in evaluation mode, and the node it is built from."""
    node = {"resolution": 6, "channels": 3, "classes": classes} | settings
    torch.manual_seed(0)
    made = {"TinyGenerator": TinyGenerator, "TinyStyles": TinyStyles}[kind](**node)
    if isinstance(made, TinyGenerator):  # as if it had been trained
        made.norm.running_mean.normal_()
        made.norm.running_var.uniform_(0.5, 2)
    return made.eval(), {"_target_": f"{module or __name__}.{kind}", **node}
