"""The base class of tasks of images that validate."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from aigc.data.images.batches import Batch
from aigc.distributed.collectives import all_sum
from aigc.errors import InputError
from aigc.printing import plural
from aigc.tasks.images.base import ImageTask


class ValidatedImageTask(ImageTask, ABC):
    """A task that validates on held-out images: the mean of each value over all images is recorded as `val/<name>`.

    All ranks have as many validation batches. One that only fills up a rank is computed like any other, as networks
    may work together for it, but none of its values is counted.
    """

    counts_samples = True

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, list[Tensor]] = {}

    @abstractmethod
    def validation_values(self, batch: Batch) -> dict[str, Tensor]:
        """Return the values of each held-out image of a batch by name, such as its loss, each of shape (n,)."""

    def on_validation_epoch_start(self) -> None:
        """Forget the values of the last validation."""
        self._values = {}

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Keep the values of the images that count; the device is not waited for.

        Raises:
            InputError: A value does not belong to one image each.
        """
        images = len(batch["images"])
        for name, values in self.validation_values(batch).items():
            if values.shape != (images,):
                raise InputError(
                    f"task: {type(self).__name__}.validation_values must give one number for each image, and gives "
                    f"{name} of shape {tuple(values.shape)} for {plural(images, 'image')}; do not average over "
                    "the batch"
                )
            self._values.setdefault(name, []).append(values.detach()[: batch.get("samples", images)])

    def validation_is_finite(self) -> bool:
        """Return whether the values of this rank are finite."""
        return all(bool(torch.cat(values).isfinite().all()) for values in self._values.values())

    def on_validation_epoch_end(self) -> None:
        """Record the means."""
        sums = []
        for values in self._values.values():
            joined = torch.cat(values).cpu().double()
            sums.append(torch.stack([joined.sum(), joined.new_tensor(len(joined))]))
        if sums:
            totals = all_sum(torch.stack(sums)).tolist()
            self.record(
                {f"val/{name}": total / count for name, (total, count) in zip(self._values, totals, strict=True)}
            )
