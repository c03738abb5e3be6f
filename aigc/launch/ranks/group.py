"""The rank of this process, its process group, and the decisions that all ranks share before training."""

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
from aigc.printing import plural

_START_PATIENCE = timedelta(minutes=10)
"""How long ranks wait for each other at the start: a cluster may start some nodes later than others."""
_DECISION_PATIENCE = timedelta(hours=2)
"""How long the first rank may take to decide: it reads whole checkpoints to choose one."""


@dataclass(frozen=True)
class Ranks:
    """The rank of this process among those that train one run.

    Args:
        rank: Global rank; rank 0 keeps the run folder.
        world_size: Number of ranks.
        local_rank: Rank on this machine, which is the index of its device.
        local_world_size: Number of ranks on this machine.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def nodes(self) -> int:
        """Number of machines."""
        return self.world_size // self.local_world_size

    @property
    def first(self) -> bool:
        """Whether this process keeps the run folder."""
        return self.rank == 0


def read_ranks(environ: Mapping[str, str] = os.environ) -> Ranks:
    """Read the rank of this process from the variables of torchrun; without them it is the only one.

    Raises:
        InputError: A variable is missing or not a number.
    """
    if "RANK" not in environ and "WORLD_SIZE" not in environ:
        return Ranks()
    values = [read_number(environ, name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")]
    return Ranks(*values)


def check_ranks(ranks: Ranks, cfg: DictConfig) -> None:
    """Check that the number of processes is that of the config, before any waits for another.

    Raises:
        InputError: There are more or fewer processes, or too few GPUs; the message has both numbers.
    """
    check_devices(cfg)
    nodes, devices = cfg.trainer.nodes, cfg.trainer.devices
    if (ranks.nodes, ranks.local_world_size) != (nodes, devices):
        raise InputError(
            f"the config has trainer.nodes={nodes} and trainer.devices={devices}, and there are {ranks.world_size} "
            f"processes, {ranks.local_world_size} on this of {plural(ranks.nodes, 'node')}: start one for each device"
        )


class Agreement:
    """Broadcasts decisions of the first rank: the config of this attempt, the checkpoint to resume from.

    Args:
        ranks: The rank of this process.
        store: A `torch.distributed.Store` that all ranks have joined; None for a single process.
    """

    def __init__(self, ranks: Ranks, store: Any | None = None) -> None:
        self.ranks = ranks
        self._store = store

    def on(self, name: str, decide: Callable[[], str]) -> str:
        """Return the decision of the first rank, on all ranks.

        Args:
            name: Name of the decision; each is made once.
            decide: Called on the first rank only.
        """
        if self._store is None:
            return decide()
        if self.ranks.first:
            decided = decide()
            self._store.set(name, decided)
            return decided
        decision: bytes = self._store.get(name)
        return decision.decode()


@contextmanager
def joined(ranks: Ranks, cfg: DictConfig) -> Iterator[Agreement]:
    """Join the process group of all ranks, before data loaders are built.

    Raises:
        InputError: MASTER_ADDR or MASTER_PORT is missing.
        torch.distributed.DistStoreError: A rank did not join within ten minutes.
    """
    if ranks.world_size == 1:
        yield Agreement(ranks)
        return
    import torch
    from torch import distributed
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise InputError(f"{' and '.join(missing)} must be set to the address of the first rank; torchrun sets them")
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
    """Keep the first rank, which serves the store, until the others no longer need it."""
    store.add("done", 1)
    end = time.monotonic() + seconds
    while ranks.first and store.add("done", 0) < ranks.world_size and time.monotonic() < end:
        time.sleep(0.01)


def read_number(environ: Mapping[str, str], name: str) -> int:
    """Read an environment variable that holds a whole number; raises InputError otherwise."""
    value = environ.get(name)
    if value is None or not value.isdigit():
        raise InputError(
            f"the environment variable {name} is {value!r}; the launcher of several ranks must set it to a number"
        )
    return int(value)
