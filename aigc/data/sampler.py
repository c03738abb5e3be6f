"""The order of training rows: a pure function of seed and epoch."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class EpochSampler(Sampler[int]):
    """Every index once an epoch, in an order that only the seed and the epoch decide.

    Args:
        length: How many indices there are.
        seed: Any number from 0 on.
        shuffle: Whether the order is random; otherwise it is 0, 1, 2 ...
    """

    def __init__(self, length: int, seed: int, shuffle: bool = True) -> None:
        self.length = length
        self.seed = seed
        self.shuffle = shuffle
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each one."""
        self.epoch = epoch

    def order(self) -> list[int]:
        """The indices of the chosen epoch."""
        if not self.shuffle:
            return list(range(self.length))
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, self.epoch])))
        return list(generator.permutation(self.length).tolist())

    def __iter__(self) -> Iterator[int]:
        return iter(self.order())

    def __len__(self) -> int:
        return self.length
