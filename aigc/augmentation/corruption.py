"""Changes that remove information from an image: noise and cutout."""

import torch
from torch import Tensor

from aigc.augmentation.draws import choose, happens, normal, sometimes


def noise(images: Tensor, probability: Tensor) -> Tensor:
    """Add normal noise of a normal strength that deviates by 0.1, with a probability (Karras et al., 2020).

    Args:
        images: Floating, (n, channels, height, width).
        probability: A scalar.
    """
    strength = sometimes(normal(images, deviation=0.1), probability, 0)
    return choose(strength != 0, images + strength[:, None, None, None] * torch.randn_like(images), images)


def cutout(images: Tensor, probability: Tensor) -> Tensor:
    """Make a block of half the height and half the width grey, with a probability (DeVries and Taylor, 2017).

    Its centre lies anywhere in the image, so that a part of it may lie outside (Zhao et al., 2020).

    Args:
        images: Floating, (n, channels, height, width); 0 is grey.
        probability: A scalar.
    """
    height, width = images.shape[2:]
    inside = _block(images, height).unsqueeze(2) & _block(images, width).unsqueeze(1)
    return images.masked_fill(inside.unsqueeze(1) & happens(images, probability).view(-1, 1, 1, 1), 0)


def _block(images: Tensor, size: int) -> Tensor:
    """Mark which of `size` pixels in a row lie in the block, (n, size) of bool."""
    block = size // 2
    centre = torch.randint(size + 1 - block % 2, (len(images), 1), device=images.device)
    pixels = torch.arange(size, device=images.device) - (centre - block // 2)
    return (pixels >= 0) & (pixels < block)
