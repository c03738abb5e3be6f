"""The inception score."""

import numpy as np
import torch

from aigc.errors import InputError
from aigc.metrics.image.inputs import Array, as_features


def inception_score(logits: Array, splits: int = 10, seed: int | None = None) -> tuple[float, float]:
    """Compute exp(mean KL(p(y|x) || p(y))) over parts of the images (Salimans et al., 2016), in float64.

    The conventions are torch-fidelity's: part i holds the images from i * n // splits on, the standard deviation is
    that of the parts (divisor: their number).

    Args:
        logits: Of the classes, floating, of shape (images, classes).
        splits: Number of parts.
        seed: Shuffle first, as torch-fidelity does by default with seed 2020; None keeps the order.

    Returns:
        Mean and standard deviation over the parts, from 1 to the number of classes.

    Raises:
        TypeError: The logits are no floating array or tensor.
        ValueError: Their shape is another one.
        InputError: There are fewer images than parts, or fewer than two, or a logit is not finite.
    """
    rows = as_features(logits, what="logits")
    number = len(rows)
    if not 1 <= splits <= number:
        raise InputError(f"splits is {splits}: give a number from 1 to that of the images, {number}")
    if seed is not None:
        rows = rows[torch.from_numpy(np.random.RandomState(seed).permutation(number)).to(rows.device)]
    scores = []
    for part in range(splits):
        logs = rows[part * number // splits : (part + 1) * number // splits].double().log_softmax(dim=1)
        shares = logs.exp()
        marginal = shares.mean(dim=0)
        # A class that no image can be has no part in the entropy: 0 log 0 is 0.
        divergence = shares.mul_(logs).sum(dim=1).mean() - torch.xlogy(marginal, marginal).sum()
        scores.append(float(divergence.exp()))
    return float(np.mean(scores)), float(np.std(scores))
