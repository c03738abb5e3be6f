"""Files of weights in the layout of Transformers: which are loaded, and whether they are whole; without torch."""

import json
from collections.abc import Sequence
from pathlib import Path

from aigc.errors import InputError
from aigc.files.kinds import HEAD, stand_in

PATTERNS = ("*.safetensors", "pytorch_model*.bin")
"""Names of files of weights, the better format first."""
_LENGTH = 8
"""Bytes at the beginning of a safetensors file that hold the length of its header."""


def weight_files(folder: Path) -> list[Path]:
    """Return the files that Transformers loads from a folder: the first of its kinds that is there, as it looks.

    These are one file or those that an index names, as safetensors, then in the format of torch. Where there is neither
    a file nor an index under its name, other files of weights are returned.

    Raises:
        InputError: An index is damaged.
    """
    for whole in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{whole}.index.json"
        if (folder / whole).is_file():
            return [folder / whole]
        if index.is_file():
            return [folder / name for name in _indexed(index)]
    return next((found for pattern in PATTERNS if (found := sorted(folder.glob(pattern)))), [])


def _indexed(index: Path) -> list[str]:
    try:
        return sorted({str(name) for name in json.loads(index.read_bytes())["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{index} is damaged ({type(error).__name__}): download or copy it again") from error


def damaged_weights(files: Sequence[Path]) -> str | None:
    """Return what is wrong with files of weights; None where nothing is seen."""
    for file in files:
        try:
            reason = _stand_in(file) or (_safetensors_problem(file) if file.suffix == ".safetensors" else None)
        except OSError as error:
            reason = f"it cannot be read: {error.strerror}"
        if reason:
            return f"{file}: {reason}"
    return None


def _stand_in(file: Path) -> str | None:
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    kind = stand_in(head)
    return (str(kind) if kind else None) if head else "the file is empty; copy or download it again"


def _safetensors_problem(file: Path) -> str | None:
    """Return how a file differs from the safetensors format: the header's length, the header in JSON, the tensors."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(_LENGTH), "little")
        if not 2 <= length <= size - _LENGTH:
            return "it is not a whole safetensors file; copy or download it again"
        try:
            tensors = json.loads(opened.read(length))
            wanted = max((one["data_offsets"][1] for key, one in tensors.items() if key != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return "its header is damaged; copy or download it again"
    expected = _LENGTH + length + wanted
    return None if size == expected else f"it has {size:,} bytes in place of {expected:,}; copy or download it again"
