"""The folder of a run's checkpoints: one file a step, `last.ckpt` and `best.ckpt` pointing at two of them.

Where weights are sharded, a folder stands in the place of each file.
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
class Listed:
    """The content of checkpoints.json.

    Args:
        files: Step to file name, of what this run has written and not deleted yet.
        best: File names of the best ones, the very best first.
    """

    files: dict[int, str] = field(default_factory=dict)
    best: list[str] = field(default_factory=list)


class CheckpointFolder:
    """Keeps track of checkpoint files; writing them is up to whoever knows what is in them.

    A file is whole when its SHA-256 stands beside it in `<name>.sha256`. Only files that checkpoints.json lists are
    ever deleted, and only once a newer one is on disk.

    Args:
        path: The folder; it is made with the first checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def file(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.path / f"step-{step:06d}.ckpt"

    def added(self, step: int, keep: int, best: list[int] | None = None) -> None:
        """List a file that is on disk now, point `last.ckpt` at it, and delete what need not be kept.

        Args:
            step: The step of the new file.
            keep: How many of the newest to keep.
            best: Steps of the best ones, the very best first, which are kept too; None leaves them as they are.
        """
        listed = self.listed()
        listed.files[step] = self.file(step).name
        # What lies ahead was written before a damaged or an older checkpoint was gone back to, and is written again.
        steps = sorted((s for s in listed.files if s <= step), reverse=True)
        if best is not None:
            listed.best = [self.file(s).name for s in best]
        kept = {listed.files[s] for s in steps[:keep]} | set(listed.best)
        self._point(LAST, self.file(step).name)
        if listed.best:
            self._point(BEST, listed.best[0])
        removed = [name for name in listed.files.values() if name not in kept]
        listed.files = {s: name for s, name in listed.files.items() if name in kept}
        for name in removed:  # before the list forgets them, as a kill in between would keep them for ever
            remove(self.path / name)
            checksum_path(self.path / name).unlink(missing_ok=True)
        self._write(listed)

    def listed(self) -> Listed:
        """What checkpoints.json says; nothing when it is not there or damaged, so that nothing is deleted by it."""
        try:
            found = json.loads((self.path / LIST_FILE).read_text(encoding="utf-8"))
            return Listed({int(step): str(name) for step, name in found["files"].items()}, list(found["best"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Listed()

    def begin(self) -> Path | None:
        """Tidy up after a run that was killed, and return the checkpoint to resume from: see `newest_whole`.

        Only for the one process that works on the run.
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
        """The newest checkpoint that is what was written; a warning names each damaged one before it.

        Returns:
            None when there was never any.

        Raises:
            AigcError: There are checkpoints and all of them are damaged.
        """
        reasons: list[str] = []
        last = self.path / LAST
        if last.is_symlink() and not last.exists():
            log.warning("%s is missing; the one before it is taken", last.resolve())
        for path in sorted(self.path.glob("step-*.ckpt"), key=step_of, reverse=True):
            reason = damage(path)
            if reason is None:
                for damaged in reasons:
                    log.warning("%s; the one before it is taken", damaged)
                return path
            reasons.append(reason)
        if reasons or self._were_any():
            told = "; ".join(reasons) or f"{self.path} holds none of its own (step-*.ckpt), though it had some"
            raise AigcError(
                f"no usable checkpoint: {told}. Put a good one back, or start a new run; this one is not started anew."
            )
        return None

    def _were_any(self) -> bool:
        """Whether there were any, also of an earlier version, whose checkpoints cannot be resumed from exactly."""
        return any(os.path.lexists(self.path / name) for name in (LIST_FILE, LAST, BEST))

    def _point(self, name: str, target: str) -> None:
        """Make `name` another name of `target`, in one step."""
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

    def _write(self, listed: Listed) -> None:
        write_json(self.path / LIST_FILE, asdict(listed))


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint file, or None: its SHA-256 must be the one noted when it was written."""
    path = path.resolve()  # last.ckpt is another name of a file of its own
    try:
        noted = checksum_path(path).read_text(encoding="ascii").split()
        found = digest_of(path)
    except OSError as error:
        return f"{path} is damaged: {error.strerror} ({Path(error.filename or path).name})"
    except UnicodeDecodeError:
        return f"{path} is damaged: its checksum file holds no checksum"
    if not noted or noted[0] != found:
        return f"{path} is damaged: its content is not what was written (its checksum differs)"
    return None


def digest_of(path: Path) -> str:
    """SHA-256 of a checkpoint: of the file, or of the names and contents of a folder's files.

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
    """The file beside a checkpoint that holds its SHA-256."""
    return path.with_name(path.name + ".sha256")


def step_of(path: Path) -> int:
    """The step in a checkpoint's name; -1 when there is none."""
    digits = path.stem.removeprefix("step-")
    return int(digits) if digits.isdigit() else -1
