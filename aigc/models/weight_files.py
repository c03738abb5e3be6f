"""Whether files of weights are whole, as far as their sizes and headers tell; nothing here imports torch."""

import json
from pathlib import Path

from aigc.files.kinds import HEAD, stand_in

_LENGTH = 8
"""Bytes at the beginning of a safetensors file that hold the length of its header."""


def damaged_weights(folder: Path) -> str | None:
    """Return what is wrong with the weights in a folder of Transformers; None where nothing is seen."""
    whole = folder / "model.safetensors"
    files = [whole] if whole.is_file() else sorted(folder.glob("model-*.safetensors"))
    others = [] if files else sorted(folder.glob("pytorch_model*.bin"))
    for file in (*files, *others):
        try:
            reason = _stand_in(file) or (_safetensors_problem(file) if file in files else None)
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
