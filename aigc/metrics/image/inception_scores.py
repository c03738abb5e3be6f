"""The inception score."""

from typing import Annotated

import numpy as np
import torch

from aigc.config.types import Bound
from aigc.errors import InputError
from aigc.metrics.image.inputs import Array, as_features
from aigc.metrics.image.measure import Comparison, ImageMeasure
from aigc.metrics.image.pairs import PairConsumer
from aigc.printing import plural


class InceptionScore(ImageMeasure):
    """The inception score: how sure and how varied classes are (Salimans et al., 2016), `is`, `is_std`.

    Args:
        splits: Parts of the images over which mean and standard deviation are taken.
        seed: Of the order in which they are cut into parts, 2020 is torch-fidelity's; null keeps their order.
    """

    metric_name = "is"
    names = ("is", "is_std")
    higher_is_better = True
    needs_features = True
    needs_real = False

    def __init__(
        self,
        splits: Annotated[int, Bound(1)] = 10,
        seed: Annotated[int, Bound(0, 4294967295)] | None = 2020,
    ) -> None:
        self.splits = splits
        self.seed = seed

    def refuses(self, generated: int, real: int, classes: int | None) -> str | None:
        """Return why it cannot measure: there are fewer images than parts, or no classes."""
        if not classes:
            return "the inception score needs an extractor with classes"
        return (
            f"splits is {self.splits}, but there are {plural(generated, 'image')}" if generated < self.splits else None
        )

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Return mean and standard deviation over the parts."""
        logits = comparison.generated.logits
        if logits is None:
            made_by = comparison.generated.description or "unknown"
            raise InputError(
                f"the inception score needs logits, and these statistics ({made_by}) hold none: measure images, with "
                "an extractor that has classes"
            )
        mean, deviation = inception_score(logits, self.splits, self.seed)
        return {"is": mean, "is_std": deviation}

    def options(self, comparison: Comparison) -> str:
        """Return number of parts and seed of the order."""
        return f"splits:{self.splits}|seed:{'none' if self.seed is None else self.seed}"


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
        TypeError: The logits are not a floating-point array or tensor.
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
