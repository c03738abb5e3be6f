"""Small parts that generators and discriminators share."""

from typing import Literal, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

Layer = TypeVar("Layer", bound=nn.Module)
Initialisation = Literal["normal", "xavier", "orthogonal", "zeros"]


def initialised(layer: Layer, how: Initialisation = "xavier", gain: float = 1.0) -> Layer:
    """Give a layer random weights and a bias of 0; to be done before `spectral`, which hides the weights.

    Args:
        layer: Linear, convolution or embedding, with a `weight`.
        how: N(0, 0.02) (Radford et al., 2016), Glorot's uniform, orthogonal, or zeros.
        gain: What the weights are multiplied by.
    """
    weight, bias = layer.weight, getattr(layer, "bias", None)
    assert isinstance(weight, Tensor)
    if how == "normal":
        nn.init.normal_(weight, std=0.02 * gain)
    elif how == "xavier":
        nn.init.xavier_uniform_(weight, gain)
    elif how == "orthogonal":
        nn.init.orthogonal_(weight, gain)
    else:
        nn.init.zeros_(weight)
    if isinstance(bias, Tensor):
        nn.init.zeros_(bias)
    return layer


def spectral(layer: Layer, wanted: bool) -> Layer:
    """Divide the weight of a layer by its largest singular value where that is wanted (Miyato et al., 2018).

    A kernel counts as a matrix of its outputs by all else. In training each look at the weight is one power iteration.
    """
    if wanted:
        spectral_norm(layer)
    return layer


class LinearMaps(nn.Linear):
    """Vectors to small feature maps, the first layer of a generator; made in channels_last, which costs nothing here.

    Args:
        inputs: Width of the vectors, (n, inputs).
        outputs: Feature maps, (n, outputs, size, size).
        size: Their height and width.
        bias: Add one to each number.
    """

    def __init__(self, inputs: int, outputs: int, size: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs * size * size, bias)
        self.size = size

    def forward(self, vectors: Tensor) -> Tensor:
        """Make maps."""
        return super().forward(vectors).view(vectors.shape[0], self.size, self.size, -1).permute(0, 3, 1, 2)


class UpConvolution(nn.Conv2d):
    """Repeats each pixel twice in height and width, then convolves with 3 x 3 weights, as one transposed convolution.

    Its 4 x 4 kernel holds sums of the weights, so that the function is the same, at less than half the operations.

    Args:
        inputs: Feature maps that come in, (n, inputs, height, width).
        outputs: Feature maps that go out, (n, outputs, 2 height, 2 width).
        bias: Add one to each.
    """

    _spread: Tensor

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)
        self.register_buffer("_spread", _sums_of_neighbours().flip(1), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve."""
        weight = self.weight  # once: each look is a power iteration under spectral normalisation
        kernel = (weight.flatten(2) @ self._spread).view(*weight.shape[:2], 4, 4)
        return F.conv_transpose2d(maps, kernel.transpose(0, 1), self.bias, stride=2, padding=1)


class DownConvolution(nn.Conv2d):
    """Convolves with 3 x 3 weights, then averages 2 x 2 pixels, as one convolution; the counterpart of `UpConvolution`.

    Args:
        inputs: Feature maps that come in, (n, inputs, height, width), height and width even.
        outputs: Feature maps that go out, (n, outputs, height / 2, width / 2).
        bias: Add one to each.
    """

    _spread: Tensor

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)
        self.register_buffer("_spread", _sums_of_neighbours() / 4, persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve."""
        weight = self.weight  # once: each look is a power iteration under spectral normalisation
        kernel = (weight.flatten(2) @ self._spread).view(*weight.shape[:2], 4, 4)
        return F.conv2d(maps, kernel, self.bias, stride=2, padding=1)


def _sums_of_neighbours() -> Tensor:
    """Return the matrix (9, 16) from a flattened 3 x 3 kernel to the 4 x 4 one of sums of its 2 x 2 neighbours."""
    line = torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]])
    return torch.kron(line, line)


def upsampled(maps: Tensor) -> Tensor:
    """Double height and width of feature maps by repeating each pixel."""
    return F.interpolate(maps, scale_factor=2.0)


def powers_of_two(least: int, most: int) -> list[int]:
    """Return all from one power of two to another, both included."""
    return [1 << exponent for exponent in range(least.bit_length() - 1, most.bit_length())]
