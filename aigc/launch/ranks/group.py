"""Which of several processes this one is, and what they agree on before they train."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from omegaconf import DictConfig

from aigc.errors import InputError
from aigc.launch.devices import check_devices, gpus

_START_PATIENCE = timedelta(minutes=10)
"""How long the first rank is waited for: a cluster may start some nodes later than others."""
_DECISION_PATIENCE = timedelta(hours=2)
"""How long the first rank may take to decide: it reads checkpoints whole to choose one."""


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those that train one run.

    Args:
        rank: Of this process, 0 for the one that keeps the run folder.
        world_size: How many there are.
        local_rank: Of this process on its machine, which is the number of its device.
        local_world_size: How many there are on this machine.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def nodes(self) -> int:
        """How many machines there are."""
        return self.world_size // self.local_world_size

    @property
    def first(self) -> bool:
        """Whether this process keeps the run folder."""
        return self.rank == 0


def read_ranks(environ: Mapping[str, str] = os.environ) -> Ranks:
    """This process's place by the variables that torchrun sets; alone where there are none.

    Raises:
        InputError: A variable is missing or no number.
    """
    if "RANK" not in environ and "WORLD_SIZE" not in environ:
        return Ranks()
    values = [read_number(environ, name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")]
    return Ranks(*values)


def check_ranks(ranks: Ranks, cfg: DictConfig) -> None:
    """Check that as many processes were started as the config says, before any waits for another.

    Raises:
        InputError: There are more or fewer, or fewer GPUs than that; the message has both numbers.
    """
    check_devices(cfg)
    nodes, devices = cfg.trainer.nodes, cfg.trainer.devices
    if (ranks.nodes, ranks.local_world_size) != (nodes, devices):
        raise InputError(
            f"the config has trainer.nodes={nodes} and trainer.devices={devices}, and there are {ranks.world_size} "
            f"processes, {ranks.local_world_size} on this of {ranks.nodes} nodes: start one for each device"
        )


class Agreement:
    """What the first rank tells the others: the config of this attempt, the checkpoint to resume from.

    Args:
        ranks: The place of this process.
        store: A `torch.distributed.Store` that all have joined; None for a process alone.
    """

    def __init__(self, ranks: Ranks, store: Any | None = None) -> None:
        self.ranks = ranks
        self._store = store

    def on(self, name: str, decide: Callable[[], str]) -> str:
        """What the first rank has decided, on all ranks.

        Args:
            name: Of the decision; each is made once.
            decide: Called on the first rank alone.
        """
        if self._store is None:
            return decide()
        if self.ranks.first:
            decided = decide()
            self._store.set(name, decided)
            return decided
        told: bytes = self._store.get(name)
        return told.decode()


@contextmanager
def joined(ranks: Ranks, cfg: DictConfig) -> Iterator[Agreement]:
    """Join the process group of all ranks before anything is built, so that loaders know their part.

    Raises:
        InputError: MASTER_ADDR or MASTER_PORT is missing.
        torch.distributed.DistStoreError: Some rank did not come within ten minutes.
    """
    if ranks.world_size == 1:
        yield Agreement(ranks)
        return
    import torch
    from torch import distributed
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise InputError(f"{' and '.join(missing)} must say where the ranks meet; torchrun sets them")
    on_gpu = gpus(cfg) is not None
    if on_gpu:
        torch.cuda.set_device(ranks.local_rank)
    address, port = os.environ["MASTER_ADDR"], read_number(os.environ, "MASTER_PORT")
    store = TCPStore(address, port, ranks.world_size, ranks.first, timeout=_START_PATIENCE)
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        store=PrefixStore("group", store),
        rank=ranks.rank,
        world_size=ranks.world_size,
    )
    store.set_timeout(_DECISION_PATIENCE)
    try:
        yield Agreement(ranks, PrefixStore("agreement", store))
        _wait_for_all(ranks, store)
    finally:
        distributed.destroy_process_group()


def _wait_for_all(ranks: Ranks, store: Any, seconds: float = 30.0) -> None:
    """The first rank serves the store: it stays until the others have done with it."""
    store.add("done", 1)
    end = time.monotonic() + seconds
    while ranks.first and store.add("done", 0) < ranks.world_size and time.monotonic() < end:
        time.sleep(0.01)


def read_number(environ: Mapping[str, str], name: str) -> int:
    """Read an environment variable that holds a whole number; InputError where it does not."""
    value = environ.get(name)
    if value is None or not value.isdigit():
        raise InputError(
            f"the environment variable {name} is {value!r}; whoever starts several ranks sets it to a number"
        )
    return int(value)
