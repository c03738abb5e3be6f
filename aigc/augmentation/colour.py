"""Changes of colour, the same for all pixels of an image."""

import math

import torch
from torch import Tensor

from aigc.augmentation.draws import angle, choose, lognormal, normal, sometimes, whole
from aigc.printing import plural


def colour(images: Tensor, probability: Tensor) -> Tensor:
    """Change brightness, contrast, luma, hue and saturation: each with a probability (Karras et al., 2020).

    Brightness is moved by a normal number that deviates by 0.2. Contrast and saturation are multiplied; the factor's
    logarithm to the base 2 deviates by 0.5 and 1. Luma is mirrored about 0, or not, and hue turned by any angle about
    the axis from black to white. Grey images have neither hue nor saturation. Results may leave -1 to 1. An unchanged
    image stays bit-identical.

    Args:
        images: Floating, (n, 1 or 3, height, width).
        probability: A scalar.

    Raises:
        ValueError: There are neither one nor three channels.
    """
    if images.shape[1] not in (1, 3):
        raise ValueError(f"images have {plural(images.shape[1], 'channel')}; colours of 1 (grey) or 3 can be changed")
    brightness = sometimes(normal(images, deviation=0.2), probability, 0)
    contrast = sometimes(lognormal(images, deviation=0.5), probability, 1)
    luma = sometimes(1 - 2 * whole(images, count=2), probability, 1)
    changed = (brightness != 0) | (contrast != 1) | (luma != 1)
    if images.shape[1] == 1:
        scale = (contrast * luma)[:, None, None, None]
        return choose(changed, (images + brightness[:, None, None, None]) * scale, images)
    hue = sometimes(angle(images), probability, 0)
    saturation = sometimes(lognormal(images, deviation=1), probability, 1)
    changed = changed | (hue != 0) | (saturation != 1)
    return choose(changed, recolour(images, brightness, contrast, luma, hue, saturation), images)


def recolour(
    images: Tensor, brightness: Tensor, contrast: Tensor, luma: Tensor, hue: Tensor, saturation: Tensor
) -> Tensor:
    """Apply all five changes in this order, as one affine map of colours.

    None of them mixes the axis from black to white with the plane across it. So along the axis there is one factor, and
    in the plane one factor and one rotation.

    Args:
        images: (n, 3, height, width).
        brightness: Added number, (n,).
        contrast: Factor of all, (n,).
        luma: Factor along the axis, (n,).
        hue: Angle from red to green, (n,).
        saturation: Factor across the axis, (n,).
    """
    channels = torch.eye(3, dtype=images.dtype, device=images.device)
    axis = torch.full_like(channels, 1 / 3)
    quarter = (channels.roll(1, 0) - channels.roll(-1, 0)) / math.sqrt(3)  # of a turn about the axis
    part = [number[:, None, None] for number in (contrast * luma, contrast * saturation, hue, brightness)]
    turned = part[2].cos() * (channels - axis) + part[2].sin() * quarter
    matrices = part[0] * axis + part[1] * turned
    return torch.baddbmm(part[0] * part[3], matrices, images.flatten(2)).view_as(images)
