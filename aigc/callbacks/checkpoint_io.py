"""Checkpoints on disk: whole or not there at all, with a checksum beside them, plain tensors and containers only."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import CheckpointIO

from aigc.errors import AigcError
from aigc.runs.files import sha256_file, sync_folder, write_atomic


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the target, syncs, renames. Lightning's own save is torn when TMPDIR is another file system."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write one checkpoint and its `.sha256`."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            digest = sha256_file(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
        write_atomic(_checksum_path(path), f"{digest}  {path.name}\n")

    def load_checkpoint(self, path: Any, map_location: Any | None = None, weights_only: bool | None = None) -> Any:
        """Read a checkpoint without running code from it.

        Raises:
            AigcError: The file is not what was written.
        """
        path = Path(path)
        noted = _checksum_path(path)
        if noted.is_file() and noted.read_text().split()[0] != sha256_file(path):
            raise AigcError(f"{path} is damaged: its checksum differs from {noted.name}")
        return torch.load(path, map_location=map_location, weights_only=True)

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint and its checksum."""
        Path(path).unlink(missing_ok=True)
        _checksum_path(Path(path)).unlink(missing_ok=True)


def _checksum_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
