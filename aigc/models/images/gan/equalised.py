"""Layers with equalised learning rates: weights are of the size 1 and scaled when used (Karras et al., 2018)."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.models.images.gan.resampling import Resample, downsampler


def activated(maps: Tensor, gain: float = math.sqrt(2)) -> Tensor:
    """Apply leaky ReLU with slope 0.2, scaled so that the variance of normal maps stays about the same."""
    return F.leaky_relu(maps, 0.2) * gain


class EqualisedLinear(nn.Module):
    """A linear layer.

    Args:
        inputs: Features that come in.
        outputs: Features that go out.
        bias: What biases start from.
        rate: Learning rate of weights and biases relative to the optimiser's.
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, inputs) to (n, outputs)."""
        return F.linear(features, self.weight * self.scale, self.bias * self.rate)


class EqualisedConv(nn.Module):
    """A convolution, with a filter before it where it halves the size.

    Args:
        size: Height and width of the maps that come in.
        inputs: Maps that come in.
        outputs: Maps that go out.
        kernel: 1 or 3, the height and width of its window.
        down: Halve height and width.
        bias: Whether there are biases.
    """

    def __init__(
        self, size: int, inputs: int, outputs: int, kernel: int, *, down: bool = False, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.stride, self.padding = 1, kernel // 2
        self.filter: Resample | None = None
        if down and kernel == 1:
            self.filter = downsampler(size)
        elif down:  # the filter's padding serves the convolution too, which makes every second pixel alone
            self.filter, self.stride, self.padding = Resample(size, padding=(2, 2)), 2, 0

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, inputs, size, size) to (n, outputs, size, size), or half of that."""
        maps = maps if self.filter is None else self.filter(maps)
        return F.conv2d(maps, self.weight * self.scale, self.bias, stride=self.stride, padding=self.padding)


class ModulatedConv(nn.Module):
    """A convolution whose weights depend on a style, and are then normalised (Karras et al., 2020, section 2.2).

    Weights of sample n are w'_oi = style_ni * w_oi, then w''_o = w'_o / |w'_o|. To scale maps by the style before a
    common convolution and by 1 / |w'_o| after it is the same, and needs no weights of its own for each sample.

    Args:
        size: Height and width of the maps that come in.
        inputs: Maps that come in.
        outputs: Maps that go out.
        kernel: 1 or 3, the height and width of its window.
        style_width: Width of styles.
        up: Double height and width, with a filter after the convolution, whose kernel is then 3.
        demodulate: Normalise the weights.
    """

    def __init__(
        self,
        size: int,
        inputs: int,
        outputs: int,
        kernel: int,
        style_width: int,
        *,
        up: bool = False,
        demodulate: bool = True,
    ) -> None:
        super().__init__()
        self.affine = EqualisedLinear(style_width, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.padding, self.demodulate = kernel // 2, demodulate
        # A transposed convolution of 3 x 3 with stride 2 makes one pixel more than twice the size.
        self.filter = Resample(2 * size + 1, padding=(1, 1)) if up else None

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Map (n, inputs, size, size) to (n, outputs, size, size), or twice that; style is (n, style_width)."""
        with torch.autocast(maps.device.type, enabled=False):
            modulation = self.affine(style.to(self.weight.dtype))
            weight = self.weight * self.scale
            norms = self._norms(modulation, weight) if self.demodulate else torch.ones_like(modulation[:, :1])
        maps = maps * modulation.to(maps.dtype)[:, :, None, None]
        if self.filter is None:
            maps = F.conv2d(maps, weight, padding=self.padding)
        else:
            spread = 4 * weight.transpose(0, 1)  # makes up for the three zeros beside each pixel
            maps = self.filter(F.conv_transpose2d(maps, spread, stride=2))
        return torch.addcmul(self.bias.to(maps.dtype)[:, None, None], maps, norms.to(maps.dtype)[:, :, None, None])

    @staticmethod
    def _norms(modulation: Tensor, weight: Tensor) -> Tensor:
        """Return 1 / |w'_o| of each sample, (n, outputs)."""
        return (modulation.square() @ weight.square().sum((2, 3)).T + 1e-8).rsqrt()
