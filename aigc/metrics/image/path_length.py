"""Perceptual path length, and the paths between latents."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from aigc.config.problems import choices
from aigc.errors import InputError
from aigc.printing import plural

Interpolation = Literal["lerp", "slerp"]
_PARALLEL = 1e-7
"""Sine of the angle below which an arc and a straight line cannot be distinguished."""


def interpolate(start: Tensor, end: Tensor, t: float | Tensor, how: str = "lerp") -> Tensor:
    """Interpolate between latents.

    `lerp` goes straight. `slerp` goes along an arc (Shoemake, 1985), each vector by itself, with lengths between those
    of its ends: between Gaussian latents it stays where Gaussian latents are. Where the ends are parallel or opposite,
    or one is zero, there is no one arc, and it goes straight. This is torch-fidelity's `lerp` and `slerp_any`.

    Args:
        start: Floating, of shape (..., dimensions).
        end: Of the same shape.
        t: How far, 0 at the start and 1 at the end; a tensor is one that broadcasts with the latents.
        how: lerp or slerp.

    Returns:
        Latents in the dtype of `start`; the way is computed in float64.

    Raises:
        ValueError: The shapes differ.
        InputError: The interpolation is unknown.
    """
    if start.shape != end.shape:
        raise ValueError(f"latents at both ends must have one shape, got {tuple(start.shape)} and {tuple(end.shape)}")
    wide = torch.float32 if start.device.type == "mps" else torch.float64
    first, last = start.to(wide), end.to(wide)
    if how == "lerp":
        return (first + (last - first) * t).to(start.dtype)
    if how != "slerp":
        raise InputError(f"interpolation is {how!r}. {choices(how, ('lerp', 'slerp'))}")
    one, other = (torch.nn.functional.normalize(ends, dim=-1, eps=0).nan_to_num() for ends in (first, last))
    # Half of the angle by its tangent: the arc cosine loses the digits of small ones.
    angle = 2 * torch.atan2((one - other).norm(dim=-1, keepdim=True), (one + other).norm(dim=-1, keepdim=True))
    sine = angle.sin()
    arc = (torch.sin((1 - t) * angle) * first + torch.sin(t * angle) * last) / sine
    straight = (sine < _PARALLEL) | ~first.any(dim=-1, keepdim=True) | ~last.any(dim=-1, keepdim=True)
    return torch.where(straight, first + (last - first) * t, arc).to(start.dtype)


def perceptual_path_length(
    generate: Callable[..., Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    starts: Tensor,
    ends: Tensor,
    labels: Tensor | None = None,
    epsilon: float = 1e-4,
    interpolation: str = "lerp",
    batch_size: int = 64,
    lower: float = 1,
    upper: float = 99,
) -> tuple[float, float]:
    """Compute by how much images change on a small step in latent space (Karras et al., 2019); lower is smoother.

    From each start a step of `epsilon` of the way to its end is taken, and the distance of the images at both sides of
    it is divided by epsilon². The conventions are torch-fidelity's: steps begin at the starts, distances below the
    lower and above the upper percentile are dropped (the percentile's own image is kept), and the standard deviation
    has the number of distances as divisor.

    Args:
        generate: From latents of shape (batch, ...) to floating images, usually in [-1, 1]; with `labels`, from
            latents and labels. Both sides of a step are in one batch. What else is random in it must be fixed.
        distance: From two batches of images to a distance for each pair, of shape (batch,), such as squared LPIPS.
        starts: Latents, of shape (n, dimensions).
        ends: Latents, of that shape.
        labels: Of the images, of shape (n,), for a generator with classes.
        epsilon: The step, as part of the way.
        interpolation: lerp or slerp; see `interpolate`.
        batch_size: Steps that are taken at once.
        lower: Percentile below which distances are dropped; 0 keeps them.
        upper: Percentile above which they are dropped; 100 keeps them.

    Returns:
        Mean and standard deviation of the distances that are kept.

    Raises:
        TypeError: Images are whole numbers. A step changes a pixel by much less than one grey level, and rounding makes
            that 0 or a whole one: after the division by epsilon² the result is tens of times too large.
        ValueError: Shapes do not fit.
        InputError: An option is out of its range, or a distance is not finite.
    """
    _check(epsilon, batch_size, lower, upper)
    if not len(starts) or (labels is not None and len(labels) != len(starts)):
        raise ValueError(
            f"{plural(len(starts), 'latent')} and {plural(0 if labels is None else len(labels), 'label')}: give "
            "as many, and some"
        )
    others = interpolate(starts, ends, epsilon, interpolation)
    found = []
    with torch.no_grad():
        for first in range(0, len(starts), batch_size):
            batch = slice(first, first + batch_size)
            inputs = [torch.cat([starts[batch], others[batch]])]
            inputs += [] if labels is None else [torch.cat([labels[batch], labels[batch]])]
            images = generate(*inputs)
            if not images.is_floating_point():
                raise TypeError(f"images must be floating numbers, got {images.dtype}: rounding hides so small a step")
            found.append(_finite(distance(*images.chunk(2)), len(images) // 2, first))
    distances = torch.cat(found).numpy() / epsilon**2
    least = np.percentile(distances, lower, method="lower")
    most = np.percentile(distances, upper, method="higher")
    kept = distances[(least <= distances) & (distances <= most)]
    return float(np.mean(kept)), float(np.std(kept))


def _finite(distances: Tensor, number: int, first: int) -> Tensor:
    if distances.shape != (number,):
        raise ValueError(f"distance must give one number per pair, of shape ({number},), got {tuple(distances.shape)}")
    broken = ~torch.isfinite(distances)
    if bool(broken.any()):
        raise InputError(f"the distance of step {first + int(broken.nonzero()[0, 0])} is not finite")
    return distances.cpu().double()


def _check(epsilon: float, batch_size: int, lower: float, upper: float) -> None:
    if not 0 < epsilon <= 1:
        raise InputError(f"epsilon is {epsilon}, it must be above 0 and at most 1")
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}, it must be at least 1")
    if not 0 <= lower < upper <= 100:
        raise InputError(f"percentiles are {lower} and {upper}: give two from 0 to 100, the lower one first")
