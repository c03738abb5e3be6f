"""What the order of batches depends on, as a trainer and its loader have it."""

from typing import Any

from lightning_fabric.utilities.data import sized_len
from pytorch_lightning import Trainer

from aigc.callbacks.position import Order
from aigc.data.loader import EpochLoader
from aigc.data.stream_loader import StreamLoader
from aigc.distributed.data_rank import data_rank
from aigc.errors import InputError


def order_of(trainer: Trainer, loader: Any, batches: int | float) -> Order:
    """Return the order of a loader.

    Args:
        trainer: The trainer.
        loader: The training loader.
        batches: Batches in an epoch, infinity where they are not known.

    Raises:
        InputError: They are not known, and the loader is not a stream.
    """
    ranks = data_rank()[1]
    described: dict[str, Any] = {"world_size": ranks, "together": trainer.world_size // ranks}
    if isinstance(loader, EpochLoader | StreamLoader):
        described |= loader.state_dict()
    if isinstance(loader, StreamLoader):
        number = None
    elif batches == float("inf"):
        raise InputError("data: the training loader has no length, so a run could not be resumed")
    else:
        number = int(batches)
    return Order(number, trainer.accumulate_grad_batches, precision=str(trainer.precision), **described)


def batches_used(loader: Any, limit: int | float | None) -> int | float:
    """Return how many batches Lightning uses, infinity without a length; its default limit is the share 1.0."""
    length = sized_len(loader)
    if length is None:
        return float("inf")
    return length if not isinstance(limit, int) else min(length, limit)
