"""Differentiable augmentation: the same few changes throughout training."""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor

from aigc.augmentation.base import Pipeline, Transform
from aigc.augmentation.corruption import cutout
from aigc.augmentation.draws import choose, happens, sometimes, uniform, whole
from aigc.augmentation.space import nearest
from aigc.config.problems import choices
from aigc.config.types import Bound
from aigc.errors import InputError

Policy = Literal["color", "translation", "cutout"]


class DiffAugment(Pipeline):
    """Apply all policies to every image (Zhao et al., 2020, "Differentiable augmentation for data-efficient GANs").

    Args:
        policy: What is done, in this order: color (brightness, saturation and contrast), translation (by up to 1/8,
            what comes in is grey), cutout (a block of half the height and width is grey).
        probability: How likely each policy is for an image; the paper's is 1.

    Raises:
        InputError: There is no policy, or one that does not exist.
    """

    def __init__(
        self,
        policy: Sequence[Policy] = ("color", "translation", "cutout"),
        probability: Annotated[float, Bound(0, 1)] = 1.0,
    ) -> None:
        known: dict[str, Transform] = {"color": _colour, "translation": _translation, "cutout": cutout}
        for name in policy:
            if name not in known:
                raise InputError(f"DiffAugment has no policy {name}. {choices(name, known)}")
        if not policy:
            raise InputError(f"DiffAugment has no policy, and would change nothing. Allowed: {', '.join(known)}.")
        super().__init__([(known[name], 1.0) for name in policy], probability)


def _colour(images: Tensor, probability: Tensor) -> Tensor:
    """Add -0.5 to 0.5; multiply differences from a pixel's mean by 0 to 2, then from the image's by 0.5 to 1.5."""
    changed = images + uniform(images, 1, 1, 1, low=-0.5, high=0.5)
    changed = torch.lerp(changed.mean(1, keepdim=True), changed, uniform(images, 1, 1, 1, low=0, high=2))
    changed = torch.lerp(changed.mean((1, 2, 3), keepdim=True), changed, uniform(images, 1, 1, 1, low=0.5, high=1.5))
    return choose(happens(images, probability), changed, images)


def _translation(images: Tensor, probability: Tensor) -> Tensor:
    """Move whole pixels, by up to 1/8 of the height and the width."""
    height, width = images.shape[2:]
    moves = torch.stack([whole(images, count=2 * (size // 8) + 1) - size // 8 for size in (height, width)], 1)
    down, right = sometimes(moves, probability, 0).unsqueeze(2).unbind(1)
    rows = torch.arange(height, dtype=images.dtype, device=images.device) - down
    columns = torch.arange(width, dtype=images.dtype, device=images.device) - right
    inside = ((rows >= 0) & (rows < height)).unsqueeze(2) & ((columns >= 0) & (columns < width)).unsqueeze(1)
    return nearest(images, rows.unsqueeze(2), columns.unsqueeze(1)).masked_fill(~inside.unsqueeze(1), 0)
