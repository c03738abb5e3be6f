"""What a data module has learned from its data, such as the names of classes: it belongs to the run and its model.

A data module returns it from `state_dict` and takes it in `load_state_dict`, as Lightning has it. Checkpoints hold it
under the name of the class, and model/ in a file.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule

from aigc.distributed.shard_files import unsharded_file
from aigc.errors import InputError
from aigc.runs.console import log
from aigc.runs.files import read_mapping

DATA_STATE_FILE = "data_state.json"
_NOT_HELD = "not_held"


def of_checkpoint(path: Path, data: LightningDataModule) -> dict[str, Any]:
    """Read the state of a data module from a checkpoint, without its tensors; empty where it has none."""
    file = unsharded_file(path) if path.is_dir() else path
    checkpoint: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    found: dict[str, Any] = checkpoint.get(type(data).__qualname__, {})
    return found


def of_model(folder: Path) -> dict[str, Any]:
    """Read the state of a data module from a model's folder; empty where it has none.

    Raises:
        InputError: The file is damaged, or the folder cannot hold the state.
    """
    found = read(folder)
    if reason := found.get(_NOT_HELD):
        raise InputError(
            f"{folder} does not hold the state of the data module that its model was trained with ({reason}), and data "
            "that are made anew may differ from it"
        )
    return found


def held(folder: Path) -> dict[str, Any]:
    """Read the state as `of_model` does; empty where the folder cannot hold it, as for a model that is trained anew."""
    found = read(folder)
    return {} if _NOT_HELD in found else found


def read(folder: Path) -> dict[str, Any]:
    """Read what `write` wrote, also the note that a state is not held; empty where there is no file.

    Raises:
        InputError: The file is damaged.
    """
    path = folder / DATA_STATE_FILE
    try:
        return read_mapping(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}") from error


def write(state: Mapping[str, Any], folder: Path) -> None:
    """Write the state of a data module into a model's folder; an empty one leaves no file.

    One that JSON cannot hold, with tensors or numbers as keys for example, stays in checkpoints alone. The file notes
    that, and a warning says so.
    """
    if not state:
        return
    reason = ""
    try:
        text = json.dumps(dict(state), ensure_ascii=False, indent=2) + "\n"
        if json.loads(text) != state:
            reason = "JSON changes it"
    except (TypeError, ValueError) as error:
        reason = str(error)
    if reason:
        log.warning("model/ does not hold the state of the data module, as checkpoints do: %s", reason)
        text = json.dumps({_NOT_HELD: reason}, ensure_ascii=False) + "\n"
    (folder / DATA_STATE_FILE).write_text(text, encoding="utf-8")
