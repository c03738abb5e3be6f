"""Several ranks on one machine: forked processes of a module that a test runs."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist

from tests.waiting import PATIENCE


def fork_worlds(worlds: Sequence[int], rank_of: Callable[[int, int, Path], None], place: Path) -> None:
    """Call `rank_of(world, rank, place)` for every rank of one world after the other; forks spare torch's import."""
    fork = multiprocessing.get_context("fork")
    for world in worlds:
        ranks = [fork.Process(target=rank_of, args=(world, rank, place)) for rank in range(world)]
        for each in ranks:
            each.start()
        for each in ranks:
            each.join()
            if each.exitcode:
                sys.exit(f"a rank of {world} failed with exit code {each.exitcode}")


@contextmanager
def joined(world: int, rank: int, place: Path) -> Iterator[None]:
    """The process group of one rank of a world, which meets in a folder and leaves it together."""
    limit = timedelta(seconds=PATIENCE)
    meeting = f"file://{place}/meeting-{world}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world, timeout=limit)
    yield
    dist.barrier()
    dist.destroy_process_group()


@contextmanager
def counted() -> Iterator[list[str]]:
    """The names of the collectives that are called meanwhile."""
    names = [name for name in dir(dist) if name.startswith(("all_", "broadcast", "gather", "scatter", "reduce"))]
    names += ["barrier", "monitored_barrier", "send", "recv", "isend", "irecv", "batch_isend_irecv"]
    calls: list[str] = []
    kept = {name: getattr(dist, name) for name in names if callable(getattr(dist, name))}

    def watch(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return kept[name](*args, **kwargs)

        return call

    for name in kept:
        setattr(dist, name, watch(name))
    try:
        yield calls
    finally:
        for name, function in kept.items():
            setattr(dist, name, function)
