"""Worlds of one rank and of two that train: what each rank finds is kept for the tests that compare them."""

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tests.launch.modules import run_module
from tests.unit.metrics.worlds import fork_worlds, joined

WORLDS = [1, 2]
Find = Callable[[Path, int, int], dict[str, Any]]
"""What one rank finds, from a folder of its own, its number and the number of ranks."""


def found_by_ranks(module: str, place: Path) -> list[dict[str, Any]]:
    """Run a module that ends in `main`; return what one rank has found alone, and each of two."""
    run_module(module, place)
    return [torch.load(place / f"{world}-{rank}.pt") for world in WORLDS for rank in range(world)]


def main(find: Find) -> None:
    """Call `find` as every rank of each world, in the folder of the command line."""
    fork_worlds(WORLDS, partial(_rank_of, find), Path(sys.argv[1]))


def ranked(strategy: type[Any], world: int) -> dict[str, Any]:
    """Settings of a trainer that joins the world of its process."""
    return {"devices": world, "strategy": strategy(process_group_backend="gloo")} if world > 1 else {}


def _rank_of(find: Find, world: int, rank: int, place: Path) -> None:
    torch.set_num_threads(1)
    if world > 1:
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "TORCHELASTIC_RUN_ID": "none"}
        os.environ.update({name: str(value) for name, value in told.items()} | {"MASTER_ADDR": "", "MASTER_PORT": "0"})
    with joined(world, rank, place) if world > 1 else nullcontext():
        found = find(place / f"{world}-{rank}", rank, world)
    torch.save(found, place / f"{world}-{rank}.pt")
