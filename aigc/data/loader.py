"""Training batches in an order that can be entered at any index, without replaying what came before."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from aigc.data.sampler import EpochSampler
from aigc.data.workers import leave_signals_alone
from aigc.distributed.data_rank import data_rank

_FRESH = {"epoch": 0, "batch": 0, "sample": 0}


class EpochLoader(DataLoader[Any]):
    """A DataLoader over an `EpochSampler` that reports what its order depends on, and can start at any sample.

    Lightning asks for `state_dict` when it saves and calls `load_state_dict` before the first batch of a resumed run.
    The position itself is counted by the training loop, so that batches which workers have prepared but which were
    not trained on do not count.
    """

    sampler: EpochSampler
    _began = _FRESH
    fingerprint: str | None = None
    """Hash of the data's content, when it is known."""

    def state_dict(self) -> dict[str, Any]:
        """What the order of the batches depends on."""
        sampler = self.sampler
        return {
            "length": sampler.length,
            "batch_size": self.batch_size,
            "world_size": sampler.world_size,
            "seed": sampler.seed,
            "shuffle": sampler.shuffle,
            "fingerprint": self.fingerprint,
            **({} if sampler.lengths is None else {"grouped": True}),
        }

    def indices(self, batch: int) -> list[int]:
        """The samples of a batch of the running epoch, as indices into the data set, of all ranks."""
        sampler, size = self.sampler, self.batch_size or 1
        began = self._began if self._began["epoch"] == sampler.epoch else _FRESH
        begun = began["sample"] + size * sampler.world_size * (batch - began["batch"])
        return [int(index) for index in sampler.order()[begun : begun + size * sampler.world_size]]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Start in `state["epoch"]`, after `state["sample"]` samples of all ranks in `state["batch"]` batches."""
        self.sampler.epoch = state["epoch"]
        self.sampler.start = state["sample"]
        self._began = dict(state)


def training_loader(
    dataset: Dataset[Any],
    batch_size: int,
    seed: int,
    *,
    shuffle: bool = True,
    num_workers: int = 0,
    tell_epoch: bool = False,
    collate: Callable[[Any], Any] | None = None,
    fingerprint: str | None = None,
    lengths: NDArray[np.int64] | None = None,
) -> EpochLoader:
    """Make a loader of full batches; the samples that fill no batch are left out, others in each epoch.

    Args:
        dataset: Has a length; randomness in it comes from `aigc.data.random_streams.generator`.
        batch_size: Samples in a batch of one rank.
        seed: Decides the order together with the epoch.
        shuffle: Whether the order is random.
        num_workers: Processes that build batches; their number changes no batch.
        tell_epoch: Ask the data set for `(epoch, index)` instead of `index`, as one that augments needs.
        collate: Makes a batch of samples; None stacks tensors.
        fingerprint: Hash of the data's content; a resumed run must find the same.
        lengths: The length of each sample, to put samples of similar lengths into a batch.
    """
    rank, world_size = data_rank()
    count, of_all = len(dataset), batch_size * world_size  # type: ignore[arg-type]
    sampler = EpochSampler(count, seed, shuffle, rank, world_size, tell_epoch, lengths, of_all)
    loader = EpochLoader(
        dataset, batch_size, sampler=sampler, drop_last=True, collate_fn=collate, **worker_settings(num_workers, seed)
    )
    loader.fingerprint = fingerprint
    return loader


def unbatched(batch: Any) -> Any:
    """Return a batch as it is: a data set with `__getitems__` builds whole ones, and there is nothing to collate."""
    return batch


def worker_settings(num_workers: int, seed: int) -> dict[str, Any]:
    """Return the arguments that every loader of this project is made with."""
    return {
        "num_workers": num_workers,
        "persistent_workers": num_workers > 0,
        "worker_init_fn": leave_signals_alone,
        "pin_memory": torch.cuda.is_available(),
        # Without a generator of its own, each iter() of the loader would draw from the global one.
        "generator": torch.Generator().manual_seed(seed),
    }
