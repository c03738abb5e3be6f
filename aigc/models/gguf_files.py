"""Weights and tokenizer in one GGUF file of llama.cpp, which Transformers dequantises; nothing here imports torch."""

from importlib.util import find_spec
from pathlib import Path

_MAGIC = b"GGUF"
_LEAST = 24
"""Bytes of the header: magic, version, number of tensors, number of fields."""


def gguf_file(path: str) -> Path | None:
    """Return the file that a path names, if it is in the GGUF format."""
    file = Path(path).expanduser()
    return file if file.is_file() and _begins_with_magic(file) else None


def gguf_problem(file: Path) -> str | None:
    """Return why a GGUF file cannot be read on this machine, as far as is seen without reading its tensors."""
    if file.stat().st_size < _LEAST:
        return f"{file} is not a whole GGUF file; copy or download it again"
    if find_spec("gguf") is None:
        return f"{file}: a GGUF file is read by the package gguf: pip install 'aigc[gguf]'"
    return None


def named_gguf_files(folder: Path) -> str | None:
    """Return how to name the GGUF file that lies in a folder, for the message; None if there is none."""
    found = sorted(folder.glob("*.gguf"))
    return f"{folder} holds weights in GGUF: name the file, such as {found[0]}" if found else None


def readable_architectures() -> list[str]:
    """Return the architectures, by the names of llama.cpp, whose GGUF files Transformers reads; imports it."""
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    return sorted(GGUF_SUPPORTED_ARCHITECTURES)


def _begins_with_magic(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC
