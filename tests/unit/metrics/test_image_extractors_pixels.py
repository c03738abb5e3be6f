"""What happens to bytes before a network: channels, checks, and Pillow's resizing."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from aigc.errors import InputError
from aigc.metrics.image.extractors.pixels import as_rgb, resize

SIZES = [(32, 32), (8, 8), (33, 100), (57, 301), (224, 225), (400, 400)]
"""Height, width."""


def image(height: int, width: int) -> Tensor:
    """Slopes, edges and noise, uint8 (1, 3, height, width)."""
    chance = np.random.default_rng(height * width)
    down, right = np.mgrid[:height, :width]
    smooth = np.stack([np.sin(down / 5 + band) * np.cos(right / 4) * 80 + 128 for band in range(3)])
    edges = 100 * ((down // 7 + right // 5) % 2)
    pixels = smooth + edges + chance.uniform(-20, 20, smooth.shape)
    return torch.from_numpy(pixels.clip(0, 255).astype(np.uint8))[None]


def random_images(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_channels_are_those_of_pillows_convert(mode: str) -> None:
    pixels = random_images(5, 7, len(mode)).numpy()
    image = Image.fromarray(pixels.squeeze(2) if mode == "L" else pixels)
    assert image.mode == mode
    expected = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(as_rgb(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0], expected)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 3, 8, 8), r"uint8 from 0 to 255, not torch\.float32\. Pass .*quantise first"),
        (random_images(3, 8, 8), r"shape is \(3, 8, 8\)\. It must be \(images, channels, height, width\)"),
        (random_images(2, 8, 8, 3), r"8 channels\. Allowed: 1 \(grey\), .*permute\(0, 3, 1, 2\)"),
        (random_images(2, 5, 8, 8), r"5 channels\. Allowed: .*4 \(RGBA\)\.$"),
        (random_images(2, 3, 0, 8), "images of 0x8 have no pixel"),
    ],
)
def test_other_images_are_refused(images: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_rgb(images)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("wanted", [(64, 64), (50, 64), (224, 224)], ids=str)
def test_resizing_is_pillows(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    images = image(*size)
    pillow = Image.fromarray(images[0].permute(1, 2, 0).numpy()).resize(wanted[::-1], Image.Resampling.BICUBIC)
    off = (resize(images, *wanted)[0].permute(1, 2, 0) - torch.from_numpy(np.array(pillow)).float()).abs()
    assert float(off.max()) <= 1
    assert float(off.mean()) < 0.02
