"""Consistency regularisation: the same discriminator output for an image and its shifted copy."""

from typing import Annotated

import torch
from torch import Tensor

from aigc.config.types import Bound
from aigc.losses.base import DiscriminatorPhase, DiscriminatorRegulariser
from aigc.losses.precision import at_least_float32


def consistency_penalty(logits: Tensor, augmented_logits: Tensor) -> Tensor:
    """Compute the mean squared difference of logits before and after a transformation (Zhang et al., 2020).

    Args:
        logits: Of images, (n,); they are differentiated, too.
        augmented_logits: Of the same images, transformed.

    Returns:
        A scalar without the weight.

    Raises:
        ValueError: The shapes differ.
    """
    if logits.shape != augmented_logits.shape:
        raise ValueError(
            f"logits before and after a transformation must have one shape, got {tuple(logits.shape)} and "
            f"{tuple(augmented_logits.shape)}"
        )
    return (at_least_float32(logits) - at_least_float32(augmented_logits)).square().mean()


def flip_and_shift(images: Tensor, reach: int) -> Tensor:
    """Mirror each image with probability 1/2, and shift it by whole pixels along both axes; borders are reflected.

    Args:
        images: (n, channels, height, width).
        reach: Pixels to shift by at most, smaller where an image is no larger than that.

    Returns:
        Of the same shape; drawn from the global generator of the images' device.
    """
    return picked(images, *draw_flip_and_shift(images, reach))


def draw_flip_and_shift(images: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Draw the rows, int64 (n, height), and columns, int64 (n, width), that `flip_and_shift` shows."""
    count, _, height, width = images.shape
    device = images.device
    rows = _shifted(count, height, reach, device)
    columns = _shifted(count, width, reach, device)
    mirrored = torch.rand(count, 1, device=device) < 0.5
    return rows, torch.where(mirrored, width - 1 - columns, columns)


def picked(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Select rows, (n, ...), and columns of each image."""
    number = torch.arange(len(images), device=images.device)[:, None, None]
    return images.movedim(1, -1)[number, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def _shifted(count: int, size: int, reach: int, device: torch.device) -> Tensor:
    """Draw the source row of each row, (count, size)."""
    reach = min(reach, size - 1)
    moved = torch.arange(size, device=device) + torch.randint(-reach, reach + 1, (count, 1), device=device)
    return size - 1 - (size - 1 - moved.abs()).abs()


class Consistency(DiscriminatorRegulariser):
    """Consistency regularisation of the discriminator on real images, mirrored with probability 1/2 and shifted.

    Args:
        weight: Factor of the mean squared difference of the logits (10 in Zhang et al., 2020).
        shift: By how many pixels images are shifted at most, down or up and left or right.
    """

    needs_fake = False

    def __init__(self, weight: Annotated[float, Bound(0)] = 10.0, shift: Annotated[int, Bound(0)] = 4) -> None:
        super().__init__(weight)
        self.shift = shift

    def draw(self, real: Tensor) -> dict[str, Tensor]:
        """Draw the rows and columns of each image that are shown."""
        return dict(zip(("rows", "columns"), draw_flip_and_shift(real, self.shift), strict=True))

    def forward(self, phase: DiscriminatorPhase, drawn: dict[str, Tensor]) -> Tensor:
        """Return the penalty for the real images."""
        moved = picked(phase.real, drawn["rows"], drawn["columns"])
        return consistency_penalty(phase.real_logits, phase.discriminate(moved, phase.real_labels))
