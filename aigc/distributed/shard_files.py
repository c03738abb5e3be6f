"""Sharded checkpoints on disk: a folder with a file per rank, written atomically."""

import contextlib
import io
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.utilities.load import _METADATA_FILENAME
from torch import distributed
from torch.distributed.checkpoint import CheckpointException, FileSystemReader, save  # type: ignore[attr-defined]
from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
from torch.distributed.checkpoint.state_dict_loader import _load_state_dict

from aigc.errors import AigcError, InputError
from aigc.runs.checkpoints import checksum_path, digest_of
from aigc.runs.files import retrying, sync_folder, write_atomic


def write_shards(state: dict[str, Any], path: Path, then: Callable[[], None] = lambda: None) -> None:
    """Write a checkpoint from all ranks; the folder is renamed once everything is on disk.

    Failed writes are retried for a while, as for checkpoints in one file.

    Args:
        state: The checkpoint that Lightning dumps: `state_dict` and `optimizer_states` hold tensors in shards, the rest
            is the same on all ranks.
        path: The folder.
        then: Called on the first rank once everything is on disk.

    Raises:
        AigcError: The writes of a rank failed for longer than `aigc.runs.files.retrying` retries, or the run was
            asked to stop meanwhile; raised on all ranks.
    """
    shards = {f"optimizer_{number}": one for number, one in enumerate(state.pop("optimizer_states", []))}
    shards["state_dict"] = state.pop("state_dict")

    def write() -> None:
        name = _from_first(f".{path.name}.{secrets.token_hex(4)}.tmp")
        _write(shards, state, path.with_name(name), path, then)

    if distributed.get_rank() == 0:
        try:
            retrying(write, f"save {path}")
        except AigcError as error:
            _from_first(error)
            raise
    else:
        while True:
            with contextlib.suppress(OSError):  # of any rank; the first one decides whether to try again
                write()
                return


def _from_first(value: Any) -> Any:
    """Return the value of the first rank on all ranks; raise it on the others if it is an error."""
    values = [value]
    distributed.broadcast_object_list(values)
    if isinstance(values[0], Exception) and distributed.get_rank() > 0:
        raise values[0]
    return values[0]


def _write(shards: dict[str, Any], rest: dict[str, Any], temporary: Path, path: Path, then: Callable[[], None]) -> None:
    """Write once, on all ranks at the same time; OSError on all of them if the disk failed for one."""
    first = distributed.get_rank() == 0
    refused: OSError | None = None
    try:
        try:
            save(shards, checkpoint_id=temporary)
        except CheckpointException as error:  # on all ranks
            raise cause_of(error) from error
        if first:
            try:
                content = io.BytesIO()
                torch.save(rest, content)
                (temporary / _METADATA_FILENAME).write_bytes(content.getvalue())
                _publish(temporary, path)
                then()
            except OSError as error:
                refused = error
        _from_first(refused)
        if refused is not None:
            raise refused
    finally:
        if first:
            shutil.rmtree(temporary, ignore_errors=True)


def cause_of(error: CheckpointException) -> BaseException:
    """Return the cause on a rank, preferably an OSError; torch's own error is not an `Exception`."""
    causes = [cause for cause, _ in error.failures.values()]
    return next((cause for cause in causes if isinstance(cause, OSError)), causes[0])


def unsharded_file(path: Path) -> Path:
    """Return the file of all that is not in shards.

    Raises:
        InputError: The folder is not a sharded checkpoint.
    """
    rest = path / _METADATA_FILENAME
    if not rest.is_file():
        raise InputError(f"{path} is not a sharded checkpoint: it has no {_METADATA_FILENAME}")
    return rest


def read_shards(path: Path) -> dict[str, Any]:
    """Read a checkpoint in the form of a single device, with whole tensors on the CPU.

    Raises:
        InputError: The folder is not a sharded checkpoint.
    """
    rest = unsharded_file(path)
    tensors: dict[str, Any] = {}
    planner = _EmptyStateDictLoadPlanner()  # type: ignore[no-untyped-call]
    try:
        _load_state_dict(tensors, storage_reader=FileSystemReader(path), planner=planner, no_dist=True)
    except CheckpointException as error:
        raise cause_of(error) from error
    state: dict[str, Any] = torch.load(rest, map_location="cpu", weights_only=True)
    optimizers = sorted((name for name in tensors if name.startswith("optimizer_")), key=lambda name: int(name[10:]))
    return state | {
        "state_dict": tensors["state_dict"],
        "optimizer_states": [_by_number(tensors[name]) for name in optimizers],
    }


def _by_number(state: dict[str, Any]) -> dict[str, Any]:
    """Return an optimiser's state with parameter indices instead of names."""
    groups: list[dict[str, Any]] = []
    names: list[str] = []
    for group in state["param_groups"]:
        numbers = list(range(len(names), len(names) + len(group["params"])))
        names += group["params"]
        groups.append({**group, "params": numbers})
    held = {number: state["state"][name] for number, name in enumerate(names) if name in state["state"]}
    return {"state": held, "param_groups": groups}


def _publish(temporary: Path, path: Path) -> None:
    """Rename the folder to its final name, and write its checksum beside it."""
    for file in temporary.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    sync_folder(temporary)
    if path.exists():
        shutil.rmtree(path)
    write_atomic(checksum_path(path), f"{digest_of(temporary)}  {path.name}\n")
    temporary.rename(path)
    sync_folder(path.parent)
