"""The order of training samples: a pure function of seed and epoch, which can be entered at any index."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from aigc.data.random_streams import generator

_SORTED = 100
"""Batches whose samples are sorted by length together."""


class EpochSampler(Sampler[Any]):
    """Every index once an epoch, in an order that depends on the seed and the epoch alone.

    Several ranks share one order, so that the batch of all ranks together is the same for any number of ranks. Indices
    that do not divide evenly among the ranks are left out.

    Args:
        length: How many indices there are.
        seed: Any number from 0 on.
        shuffle: Whether the order is random; otherwise it is 0, 1, 2 ...
        rank: Which of the ranks this is.
        world_size: How many ranks there are.
        tell_epoch: Give `(epoch, index)` instead of the index, for a data set that augments: see
            `aigc.data.random_streams.generator`.
        lengths: The length of each sample, to group samples of similar lengths; None groups none.
        batch: Samples in a batch of all ranks, which grouping needs.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
        tell_epoch: bool = False,
        lengths: NDArray[np.int64] | None = None,
        batch: int = 1,
    ) -> None:
        self.length = length
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.tell_epoch = tell_epoch
        self.lengths = lengths
        self.batch = batch
        self.epoch = 0
        self.start = 0
        """Where the next iteration of this epoch begins, counted in indices of all ranks; all others begin at 0."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each one."""
        if epoch != self.epoch:
            self.start = 0
        self.epoch = epoch

    def order(self) -> NDArray[np.int64]:
        """The indices of the chosen epoch, of all ranks."""
        if not self.shuffle:
            return np.arange(self.length)
        draw = generator(self.seed, self.epoch)
        order = draw.permutation(self.length)
        return order if self.lengths is None else grouped(order, self.lengths, self.batch, draw)

    def __iter__(self) -> Iterator[Any]:
        start, self.start = self.start, 0
        left = self.order()[start:]
        mine = left[self.rank : len(left) - len(left) % self.world_size : self.world_size]
        epoch = self.epoch
        return ((epoch, int(index)) for index in mine) if self.tell_epoch else map(int, mine)

    def __len__(self) -> int:
        """Indices of this rank in a whole epoch."""
        return self.length // self.world_size


def grouped(
    order: NDArray[np.int64], lengths: NDArray[np.int64], batch: int, draw: np.random.Generator
) -> NDArray[np.int64]:
    """Reorder samples so that those of a batch have similar lengths, in batches that come in random order.

    A hundred batches at a time are sorted by length, so that each batch has other samples in each epoch. Samples that
    fill no batch stay at the end, whatever their lengths.

    Args:
        order: Indices in random order.
        lengths: The length of each index.
        batch: Samples in a batch.
        draw: Random numbers for the order of the batches.
    """
    whole = len(order) - len(order) % batch
    parts = [order[begin : min(begin + _SORTED * batch, whole)] for begin in range(0, whole, _SORTED * batch)]
    batches = [part[np.argsort(-lengths[part], kind="stable")].reshape(-1, batch) for part in parts]
    if not batches:
        return order
    return np.concatenate([draw.permutation(np.concatenate(batches)).reshape(-1), order[whole:]])


def deal(length: int, batch_size: int, rank: int, world_size: int) -> list[list[int]]:
    """Deal indices in order among ranks, in as many batches on each; a rank that has fewer gets empty ones at the end.

    Args:
        length: Number of indices.
        batch_size: Indices in a batch.
        rank: Which of the ranks this is.
        world_size: How many ranks there are.
    """
    own = range(rank, length, world_size)
    most = -(-length // world_size)
    return [list(own[begin : begin + batch_size]) for begin in range(0, most, batch_size)]
