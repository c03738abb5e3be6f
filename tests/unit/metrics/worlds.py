"""Several ranks on one machine: forked processes of a module that a test runs."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch.distributed as dist


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
