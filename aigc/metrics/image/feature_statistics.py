"""Statistics of features from one forward pass over images, for every measure."""

from typing import Any

import torch
from torch import Tensor

from aigc.distributed.collectives import sync_bytes, sync_sum
from aigc.errors import InputError
from aigc.metrics.distributed_metric import DistributedMetric
from aigc.metrics.image.extractors.base import Extracted, Extractor
from aigc.metrics.image.inputs import in_float64
from aigc.metrics.image.moments import add_outer, mean_and_covariance, mirror
from aigc.metrics.image.statistics import Statistics, smallest

_HEAD = 3
"""Columns of a kept row before its features: the image's index, as two numbers that float32 can hold, and its label."""
_BASE = 2**20


class FeatureStatistics(DistributedMetric):
    """Sums of features in float64, and a bounded number of the features themselves when a measure asks for them.

    The sums are additive over batches and ranks: one all_reduce. Which features are kept depends on the images' indices
    and on nothing else, so that batches and ranks have no effect.

    The extractor is not part of this metric's state: it is in no state_dict, and so in no checkpoint.

    Args:
        extractor: What turns images into features.
        keep: Whether to keep features and logits: kernel distance, inception score, precision and recall need them.
        reservoir: How many images' features are kept at most; of more, a fixed random choice.
        over_ranks: Whether `compute` is about the images of all ranks, or about those of this one alone.
    """

    full_state_update = True  # for `forward`: images without numbers are counted over all batches
    moments: Tensor
    """Number of images, sum of features, upper triangle of the sum of outer products; float64, (1 + d + d * d,)."""
    kept: Any
    """Rows of index, label, features and logits."""

    def __init__(
        self, extractor: Extractor, keep: bool = False, reservoir: int = 50_000, over_ranks: bool = True
    ) -> None:
        super().__init__(_gather, over_ranks)
        self._extractor = (extractor,)  # in a tuple, torch does not register it as a submodule
        self._keep = keep
        self._reservoir = reservoir
        size = extractor.dimensions
        self.add_state("moments", torch.zeros(1 + size + size * size, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("kept", [], dist_reduce_fx="cat")
        if (device := _device_of(extractor)).type == "cuda":
            self.to(device)  # elsewhere there may be no float64

    @property
    def extractor(self) -> Extractor:
        """What turns images into features."""
        return self._extractor[0]

    def update(self, images: Tensor, indices: Tensor | None = None, labels: Tensor | None = None) -> None:
        """Add images.

        Args:
            images: uint8 of shape (n, channels, height, width).
            indices: Their numbers in the whole set, int64 of shape (n,), each number once over all ranks; None
                counts those of each rank.
            labels: Classes that they were asked to show, int64 of shape (n,), if any was.

        Raises:
            InputError: The features of an image are not finite.
        """
        self.add(self.extractor(images), indices, labels)

    def add(self, extracted: Extracted, indices: Tensor | None = None, labels: Tensor | None = None) -> None:
        """Add images by their features; arguments and errors as for `update`."""
        self._update_count += 1  # torchmetrics warns of a compute before any update
        features = extracted.features.detach()
        logits = None if extracted.logits is None else extracted.logits.detach()
        numbers = self._numbers(len(features)) if indices is None else indices
        numbers = numbers.to(features.device)
        _check_finite(features, numbers)
        count, size = features.shape
        if self.moments.is_inference() and not torch.is_inference_mode_enabled():
            self.moments = self.moments.clone()  # it was reset in inference mode, and cannot be changed outside of it
        self.moments[0] += count
        for rows in in_float64(features.to(self.moments.device)):
            self.moments[1 : size + 1] += rows.sum(dim=0)
            add_outer(self.moments[size + 1 :].view(size, size), rows)
        if self._keep:
            wanted = torch.full_like(numbers, -1) if labels is None else labels.to(features.device)
            parts = [torch.stack([numbers // _BASE, numbers % _BASE, wanted], dim=1), features]
            parts += [] if logits is None else [logits]
            self.kept.append(torch.cat([part.float() for part in parts], dim=1).cpu())
            if sum(map(len, self.kept)) > 2 * self._reservoir:
                self.kept = [self._chosen()]

    def compute(self) -> Statistics:
        """Return the statistics of the images on all ranks.

        Raises:
            InputError: There are fewer than two images.
        """
        extractor, size = self.extractor, self.extractor.dimensions
        state = self.moments.cpu()
        count = round(float(state[0]))
        if count < 2:
            raise InputError(f"image metrics need at least two images, and there {'is one' if count else 'is none'}")
        outer = mirror(state[size + 1 :].view(size, size).clone())
        mean, covariance = mean_and_covariance(count, state[1 : size + 1], outer)
        made = Statistics(extractor.suffix, extractor.description, extractor.identity, count, mean, covariance)
        if self._keep:
            rows = self._chosen()
            made.indices = _indices(rows)
            made.labels = rows[:, 2].long()
            made.features = rows[:, _HEAD : _HEAD + size].contiguous()
            made.logits = rows[:, _HEAD + size :].contiguous() if extractor.classes else None
        return made

    def _numbers(self, count: int) -> Tensor:
        """Return numbers for images without indices, different on each rank."""
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        rank, ranks = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
        seen = round(float(self.moments[0]))
        return torch.arange(seen, seen + count) * ranks + rank

    def _chosen(self) -> Tensor:
        """Return the rows that are kept, by rising index."""
        width = _HEAD + self.extractor.dimensions + (self.extractor.classes or 0)
        # The state of one rank is a list; torchmetrics makes one tensor of those of several.
        parts = [self.kept] if isinstance(self.kept, Tensor) else self.kept
        rows = torch.cat([part.cpu().reshape(-1, width) for part in parts])
        return rows[torch.from_numpy(smallest(_indices(rows).numpy(), self._reservoir))]


def _device_of(extractor: Extractor) -> torch.device:
    return next((tensor.device for tensor in (*extractor.parameters(), *extractor.buffers())), torch.device("cpu"))


def _indices(rows: Tensor) -> Tensor:
    return rows[:, 0].long() * _BASE + rows[:, 1].long()


def _gather(state: Tensor, group: Any = None) -> list[Tensor]:
    """Sum the sums; concatenate the rows, of which each rank has its own number."""
    return sync_sum(state, group) if state.dtype == torch.float64 else sync_bytes(state, group)


def _check_finite(features: Tensor, numbers: Tensor) -> None:
    finite = torch.isfinite(features).all(dim=1)
    if not bool(finite.all()):
        raise InputError(f"the features of image {int(numbers[~finite][0])} are not finite numbers")
