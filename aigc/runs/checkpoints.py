"""The checkpoint folder of a run: one file for each saved step, and the links `last.ckpt` and `best.ckpt`.

Where weights are sharded, each checkpoint is a folder instead of a file.
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aigc.errors import AigcError
from aigc.runs.console import log
from aigc.runs.files import remove_half_written, sha256_file, write_json

LIST_FILE = "checkpoints.json"
LAST, BEST = "last.ckpt", "best.ckpt"


@dataclass
class CheckpointList:
    """The content of checkpoints.json.

    Args:
        files: File name by step, for the checkpoints that this run has written and not deleted.
        best: File names of the best checkpoints, best first.
    """

    files: dict[int, str] = field(default_factory=dict)
    best: list[str] = field(default_factory=list)


class CheckpointFolder:
    """Keeps track of checkpoint files, which callers write.

    A file is complete when its SHA-256 is in `<name>.sha256` beside it. Only files that checkpoints.json lists are
    deleted, and only once a newer one is on disk.

    Args:
        path: The folder; it is created with the first checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def file(self, step: int) -> Path:
        """Return the path of the checkpoint of a step."""
        return self.path / f"step-{step:06d}.ckpt"

    def added(self, step: int, keep: int, best: list[int] | None = None) -> None:
        """List a new file, point `last.ckpt` at it, and delete checkpoints that need not be kept.

        Args:
            step: The step of the new file, which is on disk.
            keep: How many of the newest checkpoints to keep.
            best: Steps of the best checkpoints, best first, which are kept as well; None leaves them unchanged.
        """
        listed = self.listed()
        listed.files[step] = self.file(step).name
        # Later steps were written before the run was resumed from this earlier one, and will be written again.
        steps = sorted((s for s in listed.files if s <= step), reverse=True)
        if best is not None:
            listed.best = [self.file(s).name for s in best]
        kept = {listed.files[s] for s in steps[:keep]} | set(listed.best)
        self._point(LAST, self.file(step).name)
        if listed.best:
            self._point(BEST, listed.best[0])
        removed = [name for name in listed.files.values() if name not in kept]
        listed.files = {s: name for s, name in listed.files.items() if name in kept}
        for name in removed:  # before they leave the list, as a kill in between would leave them on disk for ever
            remove(self.path / name)
            checksum_path(self.path / name).unlink(missing_ok=True)
        self._write(listed)

    def listed(self) -> CheckpointList:
        """Read checkpoints.json; empty when it is missing or damaged, so that nothing is deleted."""
        try:
            found = json.loads((self.path / LIST_FILE).read_text(encoding="utf-8"))
            return CheckpointList({int(step): str(name) for step, name in found["files"].items()}, list(found["best"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return CheckpointList()

    def begin(self) -> Path | None:
        """Clean up after a killed process, and return the checkpoint to resume from: see `newest_whole`.

        Call it only in the process that holds the run.
        """
        remove_half_written(self.path)
        path = self.newest_whole()
        listed = self.listed()
        if path is not None and step_of(path) not in listed.files:  # killed before it could be listed
            listed.files[step_of(path)] = path.name
            self._write(listed)
        for checksum in self.path.glob("step-*.ckpt.sha256"):
            if not checksum.with_suffix("").exists():
                checksum.unlink()
        return path

    def newest_whole(self) -> Path | None:
        """Return the newest undamaged checkpoint; a warning names each newer damaged one.

        Returns:
            The path; None when there has never been a checkpoint.

        Raises:
            AigcError: All checkpoints are damaged.
        """
        reasons: list[str] = []
        last = self.path / LAST
        if last.is_symlink() and not last.exists():
            log.warning("%s is missing; using the checkpoint before it", last.resolve())
        for path in sorted(self.path.glob("step-*.ckpt"), key=step_of, reverse=True):
            reason = damage(path)
            if reason is None:
                for damaged in reasons:
                    log.warning("%s; using the checkpoint before it", damaged)
                return path
            reasons.append(reason)
        if reasons or self._had_any():
            why = "; ".join(reasons) or f"{self.path} has no step-*.ckpt any more"
            raise AigcError(
                f"no usable checkpoint: {why}. Restore a checkpoint from a backup, or start a new run; this run will "
                "not start again from step 0."
            )
        return None

    def _had_any(self) -> bool:
        """Whether there were checkpoints, including those of an earlier version."""
        return any(os.path.lexists(self.path / name) for name in (LIST_FILE, LAST, BEST))

    def _point(self, name: str, target: str) -> None:
        """Link `name` to `target` atomically."""
        temporary = self.path / f".{name}.{secrets.token_hex(4)}.tmp"
        try:
            try:
                temporary.symlink_to(target)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise
                os.link(self.path / target, temporary)  # a file system without symbolic links
            temporary.replace(self.path / name)
        finally:
            temporary.unlink(missing_ok=True)

    def _write(self, listed: CheckpointList) -> None:
        write_json(self.path / LIST_FILE, asdict(listed))


def damage(path: Path) -> str | None:
    """Describe the damage of a checkpoint, or return None where its SHA-256 is the recorded one."""
    path = path.resolve()  # last.ckpt is a link
    try:
        recorded = checksum_path(path).read_text(encoding="ascii").split()
        found = digest_of(path)
    except OSError as error:
        return f"{path} is damaged: {error.strerror} ({Path(error.filename or path).name})"
    except UnicodeDecodeError:
        return f"{path} is damaged: its checksum file holds no checksum"
    if not recorded or recorded[0] != found:
        return f"{path} is damaged: its checksum differs from the recorded one"
    return None


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a checkpoint: of the file, or of the names and contents of a folder's files.

    Raises:
        OSError: It cannot be read.
    """
    if not path.is_dir():
        return sha256_file(path)
    lines = [f"{sha256_file(file)}  {file.name}\n" for file in sorted(path.iterdir())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def remove(path: Path) -> None:
    """Delete a checkpoint that is a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def checksum_path(path: Path) -> Path:
    """Return the file that holds the SHA-256 of a checkpoint."""
    return path.with_name(path.name + ".sha256")


def newest_step(folder: Path) -> int | None:
    """Return the step of the newest checkpoint in a folder, by its name; None when there is none."""
    return max((step_of(path) for path in folder.glob("step-*.ckpt")), default=None)


def step_of(path: Path) -> int:
    """Return the step in a checkpoint's name; -1 when there is none."""
    digits = path.stem.removeprefix("step-")
    return int(digits) if digits.isdigit() else -1
