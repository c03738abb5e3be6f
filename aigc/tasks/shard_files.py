"""Checkpoints of sharded weights on disk: a folder with a file of each rank, whole or not there at all."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.utilities.load import _METADATA_FILENAME
from torch import distributed
from torch.distributed.checkpoint import FileSystemReader, save  # type: ignore[attr-defined]
from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
from torch.distributed.checkpoint.state_dict_loader import _load_state_dict

from aigc.errors import InputError
from aigc.runs.checkpoints import checksum_path, digest_of
from aigc.runs.files import sync_folder, write_atomic


def write_shards(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint together; it takes its name once all of it is on disk.

    Args:
        state: What Lightning dumps: `state_dict` and `optimizer_states` hold tensors in shards, the rest is the same on
            all ranks.
        path: The folder.

    Raises:
        CheckpointException, OSError: The disk refused some rank; raised on all of them.
    """
    first = distributed.get_rank() == 0
    chosen = [str(path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp"))]
    distributed.broadcast_object_list(chosen)
    temporary = Path(chosen[0])
    optimizers = {f"optimizer_{number}": one for number, one in enumerate(state.pop("optimizer_states", []))}
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save({"state_dict": state.pop("state_dict"), **optimizers}, checkpoint_id=temporary)
        refused: list[OSError | None] = [None]
        if first:
            try:
                torch.save(state, temporary / _METADATA_FILENAME)
                _publish(temporary, path)
            except OSError as error:
                refused = [error]
        distributed.broadcast_object_list(refused)
        if refused[0] is not None:
            raise refused[0]
    finally:
        if first:
            shutil.rmtree(temporary, ignore_errors=True)


def read_shards(path: Path) -> dict[str, Any]:
    """A checkpoint in the form that one device reads and writes, with whole tensors on the CPU.

    Raises:
        InputError: It is no such folder.
    """
    rest = path / _METADATA_FILENAME
    if not rest.is_file():
        raise InputError(f"{path} is no sharded checkpoint: it has no {_METADATA_FILENAME}")
    tensors: dict[str, Any] = {}
    planner = _EmptyStateDictLoadPlanner()  # type: ignore[no-untyped-call]
    _load_state_dict(tensors, storage_reader=FileSystemReader(path), planner=planner, no_dist=True)
    state: dict[str, Any] = torch.load(rest, map_location="cpu", weights_only=True)
    optimizers = sorted((name for name in tensors if name.startswith("optimizer_")), key=lambda name: int(name[10:]))
    return state | {
        "state_dict": tensors["state_dict"],
        "optimizer_states": [_by_number(tensors[name]) for name in optimizers],
    }


def _by_number(state: dict[str, Any]) -> dict[str, Any]:
    """An optimiser's state whose parameters have numbers, in their order, where they had names."""
    groups: list[dict[str, Any]] = []
    names: list[str] = []
    for group in state["param_groups"]:
        numbers = list(range(len(names), len(names) + len(group["params"])))
        names += group["params"]
        groups.append({**group, "params": numbers})
    held = {number: state["state"][name] for number, name in enumerate(names) if name in state["state"]}
    return {"state": held, "param_groups": groups}


def _publish(temporary: Path, path: Path) -> None:
    """Give the folder its name, with its checksum beside it."""
    for file in temporary.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    sync_folder(temporary)
    if path.exists():
        shutil.rmtree(path)
    write_atomic(checksum_path(path), f"{digest_of(temporary)}  {path.name}\n")
    temporary.rename(path)
    sync_folder(path.parent)
