"""Self-attention over the pixels of feature maps."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.errors import InputError
from aigc.models.images.gan.parts import initialised, spectral


class SelfAttention(nn.Module):
    """Adds to each pixel what it finds in all others (Zhang et al., 2019: SAGAN), twice differentiable.

    Keys and values are pooled by maxima of 2 x 2 pixels; queries and keys have an eighth of the channels, values half.
    Scores are plain inner products. The sum's factor starts at 0, so that at first maps pass unchanged.

    Args:
        channels: Feature maps.
        spectral_norm: Normalise all weights.
    """

    def __init__(self, channels: int, spectral_norm: bool = False) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)

        def mix(inputs: int, outputs: int) -> nn.Conv2d:
            return spectral(initialised(nn.Conv2d(inputs, outputs, 1, bias=False)), spectral_norm)

        self.queries, self.keys = mix(channels, narrow), mix(channels, narrow)
        self.values, self.outputs = mix(channels, half), mix(half, channels)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        """Attend; maps of shape (n, channels, height, width), at least 2 x 2 pixels, in and out."""
        queries = self.queries(maps).flatten(2).transpose(1, 2)
        keys = F.max_pool2d(self.keys(maps), 2).flatten(2)
        values = F.max_pool2d(self.values(maps), 2).flatten(2).transpose(1, 2)
        found = torch.softmax(queries @ keys, dim=-1).to(values.dtype) @ values
        mixed = self.outputs(found.mT.view(maps.shape[0], -1, *maps.shape[2:]))
        return torch.addcmul(maps, self.gamma.to(mixed.dtype), mixed)


def check_attention(network: str, at: int | None, allowed: Sequence[int]) -> None:
    """Check that a network has the feature maps that attend to themselves.

    Args:
        network: generator or discriminator.
        at: The height that is asked for; None for no attention.
        allowed: The heights that there are.

    Raises:
        InputError: There are none of this height; the message lists those that there are.
    """
    if at is not None and at not in allowed:
        raise InputError(
            f"model.{network}.attention_at={at}: for images of this resolution its feature maps are "
            f"{', '.join(map(str, sorted(allowed)))} pixels high; choose one of these, or null for no attention."
        )
