"""The folder of a run's checkpoints: one file a step, `last.ckpt` and `best.ckpt` pointing at two of them."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aigc.errors import AigcError
from aigc.runs.console import log
from aigc.runs.files import sha256_file, sync_folder, write_json

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
        self._write(listed)
        for name in removed:
            (self.path / name).unlink(missing_ok=True)
            checksum_path(self.path / name).unlink(missing_ok=True)

    def listed(self) -> Listed:
        """What checkpoints.json says; nothing when it is not there or damaged, so that nothing is deleted by it."""
        try:
            found = json.loads((self.path / LIST_FILE).read_text(encoding="utf-8"))
            return Listed({int(step): str(name) for step, name in found["files"].items()}, list(found["best"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Listed()

    def newest_whole(self) -> Path | None:
        """The newest checkpoint that is what was written; a warning names each damaged one before it.

        Returns:
            None when there was never any.

        Raises:
            AigcError: There are checkpoints and all of them are damaged.
        """
        reasons = []
        for path in sorted(self.path.glob("step-*.ckpt"), key=step_of, reverse=True):
            reason = damage(path)
            if reason is None:
                return path
            reasons.append(reason)
            log.warning("%s; the one before it is taken", reason)
        if reasons or self._were_any():
            told = "; ".join(reasons) or f"{self.path} had checkpoints and holds none"
            raise AigcError(
                f"no usable checkpoint: {told}. Put a good one back, or start a new run; this one is not started anew."
            )
        return None

    def clean(self) -> None:
        """Remove what writers that were killed have left half-written."""
        for path in self.path.glob(".*.tmp"):
            path.unlink(missing_ok=True)

    def _were_any(self) -> bool:
        return (self.path / LIST_FILE).exists() or (self.path / LAST).is_symlink()

    def _point(self, name: str, target: str) -> None:
        """Make `name` another name of `target`, in one step."""
        temporary = self.path / f".{name}.{secrets.token_hex(4)}.tmp"
        try:
            try:
                temporary.symlink_to(target)
            except OSError:  # some file systems have no symbolic links
                os.link(self.path / target, temporary)
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
        found = sha256_file(path)
    except OSError as error:
        return f"{path} is damaged: {error.strerror} ({Path(error.filename or path).name})"
    except UnicodeDecodeError:
        return f"{path} is damaged: its checksum file holds no checksum"
    if not noted or noted[0] != found:
        return f"{path} is damaged: its content is not what was written (its checksum differs)"
    return None


def checksum_path(path: Path) -> Path:
    """The file beside a checkpoint that holds its SHA-256."""
    return path.with_name(path.name + ".sha256")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary place in the same folder; after the block it takes the name `path`, or is removed if that failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def step_of(path: Path) -> int:
    """The step in a checkpoint's name; -1 when there is none."""
    digits = path.stem.removeprefix("step-")
    return int(digits) if digits.isdigit() else -1
