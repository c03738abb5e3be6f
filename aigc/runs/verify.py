"""Verify the files of a run by their hashes, without loading them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from aigc.runs.checkpoints import checksum_path
from aigc.runs.files import sha256_file
from aigc.runs.folder import Run
from aigc.runs.locate import CONFIG_FILE


@dataclass(frozen=True)
class Finding:
    """Result for one file.

    Attributes:
        file: Its name in the run folder.
        problem: `changed`, `missing`, `unreadable`, `no checksum` or `outside the run folder`; None when it is
            unchanged.
        expected: The recorded hash; None when there is none.
        found: The hash of the file; None when it cannot be read.
    """

    file: str
    problem: str | None
    expected: str | None = None
    found: str | None = None


def verify(run: Run) -> list[Finding]:
    """Hash every file whose hash was recorded: config.yaml, the artifacts in the manifest, and the checkpoints.

    Returns:
        A finding for each file, sorted by name, including those without a problem.

    Raises:
        InputError: The manifest is damaged.
    """
    manifest = run.record
    recorded = [(str(name), str(digest)) for name, digest in manifest.artifacts.items()]
    if manifest.config_sha256:
        recorded.append((CONFIG_FILE, str(manifest.config_sha256)))
    beside = _checksums_beside(run)
    recorded += [(name, digest) for name, digest in beside.items() if digest]
    expected: dict[str, set[str]] = {name: set() for name in beside}
    for name, digest in recorded:
        expected.setdefault(name, set()).add(digest)
    # On a file system without symbolic links, last.ckpt is a hard link to a file with a checksum of its own.
    checkpoints = {digest for digest in beside.values() if digest}
    read = _cached(sha256_file)
    return [_check_file(run, name, digests, checkpoints, read) for name, digests in sorted(expected.items())]


def _checksums_beside(run: Run) -> dict[str, str | None]:
    """Return the recorded hash of each checkpoint, from the `.sha256` beside it or beside the target of the link."""
    recorded: dict[str, str | None] = {}
    named = {path.with_suffix("") for path in run.checkpoints.glob("*.ckpt.sha256")}
    for path in named | set(run.checkpoints.glob("*.ckpt")):
        file = path.resolve()
        try:
            words = checksum_path(file).read_text(encoding="ascii", errors="replace").split()
        except OSError:
            words = []
        recorded[path.relative_to(run.path).as_posix()] = words[0] if words else None
    return recorded


def _check_file(run: Run, name: str, expected: set[str], others: set[str], read: Callable[[Path], str]) -> Finding:
    """Compare one file with its recorded hashes; without any, it must have one of `others`."""
    first = min(expected, default=None)
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:  # a manifest may come from anywhere
        return Finding(name, "outside the run folder", first)
    try:
        found = read((run.path / name).resolve())
    except (FileNotFoundError, NotADirectoryError):
        return Finding(name, "missing", first)
    except OSError:
        return Finding(name, "unreadable", first)
    if not expected:
        return Finding(name, None if found in others else "no checksum", None, found)
    wrong = sorted(expected - {found})
    return Finding(name, "changed" if wrong else None, wrong[0] if wrong else found, found)


def _cached(hash_file: Callable[[Path], str]) -> Callable[[Path], str]:
    """Hash each file once, as several names may refer to it."""
    known: dict[Path, str] = {}

    def read(path: Path) -> str:
        if path not in known:
            known[path] = hash_file(path)
        return known[path]

    return read
