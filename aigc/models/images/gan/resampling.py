"""Scaling feature maps through a filter, so that high frequencies do not fold into low ones."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

BILINEAR = (1.0, 3.0, 3.0, 1.0)
"""Taps of StyleGAN2 and R3GAN: [1, 2, 1] spread by the box [1, 1]. By two they scale as bilinear interpolation does."""
_DENSE = 128
"""Pixels a side up to which a matrix product is faster: backward and in bfloat16, ten times on CPUs."""


class Resample(nn.Module):
    """Zeros between pixels, zeros around them, a filter along rows and columns, then every n-th pixel.

    This is `upfirdn2d` of Karras et al. (2020), in plain operations that can be derived as often as one likes. A
    constant image stays what it is, except where the filter reaches beyond the border. Layout and dtype are kept.

    Args:
        size: Height and width of the maps that come in.
        up: Pixels that one becomes, all but the first of them 0.
        down: Interval of the pixels that are kept.
        padding: Zeros before the first and after the last pixel, put there after `up`; at most taps less `up` of them.
        taps: The filter, scaled so that they sum to `up`.
    """

    matrix: Tensor

    def __init__(
        self, size: int, up: int = 1, down: int = 1, padding: tuple[int, int] = (0, 0), taps: Sequence[float] = BILINEAR
    ) -> None:
        super().__init__()
        self.up, self.down, self.padding = up, down, padding
        self.taps = torch.tensor(taps) / sum(taps) * up
        self.length = size * up + sum(padding) - len(taps) + 1
        self.size, self.new_size = size, -(-self.length // down)
        self.dense = max(size, self.new_size) <= _DENSE
        self.register_buffer("matrix", self._matrix() if self.dense else self._kernel(), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Resample (n, channels, size, size) to (n, channels, new_size, new_size)."""
        matrix = self.matrix.to(maps.dtype)
        with torch.autocast(maps.device.type, enabled=False):
            if not self.dense:
                return self._convolved(maps, matrix)
            if not maps.is_contiguous(memory_format=torch.channels_last):
                return matrix @ maps @ matrix.mT
            rows = matrix @ maps.permute(0, 2, 3, 1).flatten(2)
            both = matrix @ rows.view(-1, self.size, maps.shape[1])
            return both.view(-1, self.new_size, self.new_size, maps.shape[1]).permute(0, 3, 1, 2)

    def _matrix(self) -> Tensor:
        """Return the matrix that one row of pixels is multiplied by, (new_size, size)."""
        before, taps = self.padding[0], self.taps.flip(0)
        first = torch.arange(self.new_size)[:, None] * self.down - before
        tap = torch.arange(self.size) * self.up - first  # which one meets the pixel, if any
        return torch.where((tap >= 0) & (tap < len(taps)), taps[tap.clamp(0, len(taps) - 1)], 0.0)

    def _kernel(self) -> Tensor:
        """Return the filter in both directions, flipped, as a convolution does not flip it."""
        taps = self.taps if self.up > 1 else self.taps.flip(0)
        return torch.outer(taps, taps)

    def _convolved(self, maps: Tensor, kernel: Tensor) -> Tensor:
        before, after = self.padding
        channels = maps.shape[1]
        weight = kernel.expand(channels, 1, -1, -1)
        if self.up == 1:
            return F.conv2d(F.pad(maps, (before, after, before, after)), weight, stride=self.down, groups=channels)
        filtered = F.conv_transpose2d(maps, weight, stride=self.up, groups=channels)
        first = len(self.taps) - 1 - before
        kept = slice(first, first + self.length, self.down)
        return filtered[..., kept, kept]


def upsampler(size: int) -> Resample:
    """Create a layer from size x size pixels to twice as many a side."""
    return Resample(size, up=2, padding=(2, 1))


def downsampler(size: int) -> Resample:
    """Create a layer from size x size pixels to half as many a side."""
    return Resample(size, down=2, padding=(1, 1))
