"""Checkpoints on disk, written atomically with a checksum: plain tensors and containers only."""

import copy
import hashlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning_fabric.plugins import CheckpointIO

from aigc.distributed.shard_files import read_shards
from aigc.errors import AigcError
from aigc.runs.checkpoints import checksum_path, damage, remove
from aigc.runs.files import replacing, retrying, write_atomic


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the target, syncs, renames. Lightning's own save is not atomic if TMPDIR is another file system.

    A disk that is full, or cannot be written for a while, is tried again; then it is an error, and the files of before
    are still there.

    Args:
        asynchronous: Copy the tensors and write in a thread while training continues; the copy takes as much memory as
            a checkpoint. An error of the thread is raised by the next save or by `wait`.
    """

    def __init__(self, asynchronous: bool = False):
        self.asynchronous = asynchronous
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: Any,
        storage_options: Mapping[str, Callable[[], None]] | None = None,
    ) -> None:
        """Write one checkpoint and its `.sha256`.

        Args:
            checkpoint: Tensors and plain containers.
            path: The file.
            storage_options: `{"then": function}` is called once the file is on disk.

        Raises:
            AigcError: The disk failed for longer than `aigc.runs.files.retrying` waits.
        """
        self.wait()
        then = (storage_options or {}).get("then", lambda: None)
        if not self.asynchronous:
            self._write(checkpoint, Path(path), then)
            return
        self._thread = threading.Thread(target=self._write_noting_error, args=(_copy(checkpoint), Path(path), then))
        self._thread.start()

    def wait(self) -> None:
        """Wait for the thread, if there is one; raise its error, if any."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def load_checkpoint(self, path: Any, map_location: Any | None = None, weights_only: bool | None = None) -> Any:
        """Read a checkpoint without running code from it.

        Raises:
            AigcError: The file is damaged.
        """
        self.wait()
        path = Path(path)
        reason = damage(path)
        if reason is not None:
            raise AigcError(reason)
        if path.is_dir():
            return read_shards(path)
        # To the CPU: on the device it would take as much memory again as the model.
        return torch.load(path, map_location=map_location or "cpu", weights_only=True)

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint and its checksum."""
        remove(Path(path))
        checksum_path(Path(path)).unlink(missing_ok=True)

    def teardown(self) -> None:
        """Wait for the thread when training ends."""
        self.wait()

    def _write(self, checkpoint: dict[str, Any], path: Path, then: Callable[[], None]) -> None:
        def write() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                hashed = _Hashed(file)
                hashed.save(checkpoint)
                # The checksum first: after a crash in between, an old file of that name reads as damaged.
                write_atomic(checksum_path(path), f"{hashed.digest.hexdigest()}  {path.name}\n")
            then()

        retrying(write, f"save {path}")

    def _write_noting_error(self, *arguments: Any) -> None:
        try:
            self._write(*arguments)
        except BaseException as error:
            self._error = error


class _Hashed:
    """A file that hashes what is written to it, so that it need not be read again."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._refused: OSError | None = None
        self.digest = hashlib.sha256()

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Write a checkpoint, tensor by tensor."""
        try:
            torch.save(checkpoint, self)  # type: ignore[arg-type]
        except RuntimeError as error:  # torch converts the OSError of the disk
            raise (self._refused or error) from None
        self.flush()

    def write(self, data: bytes) -> int:
        try:
            written = self._file.write(data)
        except OSError as error:
            self._refused = self._refused or error
            raise
        self.digest.update(data)
        return written

    def flush(self) -> None:
        self._file.flush()


def _copy(value: Any, copies: dict[Any, Any] | None = None) -> Any:
    """Copy nested containers with tensors to the CPU; tied weights stay one tensor."""
    copies = {} if copies is None else copies
    if isinstance(value, torch.Tensor):
        key = (value.device, value.data_ptr(), value.shape, value.stride(), value.dtype)
        if key not in copies:
            copies[key] = value.detach().to("cpu", copy=True)
        return copies[key]
    if isinstance(value, dict):
        return {key: _copy(item, copies) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_copy(item, copies) for item in value)
    return copy.deepcopy(value)
