"""Whether the files of a run are still those that were written: hashes only, nothing is loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from aigc.runs.checkpoints import checksum_path
from aigc.runs.files import sha256_file
from aigc.runs.folder import Run
from aigc.runs.locate import CONFIG_FILE


@dataclass(frozen=True)
class Finding:
    """What was found of one file.

    Attributes:
        file: Its name in the run folder.
        problem: `changed`, `missing`, `unreadable`, `no checksum` or `outside the run folder`; None when it is as
            written.
        expected: The hash that was noted; None when there is none.
        found: The hash of what is there; None when it could not be read.
    """

    file: str
    problem: str | None
    expected: str | None = None
    found: str | None = None


def verify(run: Run) -> list[Finding]:
    """Hash every file whose hash was noted: config.yaml, the artifacts in the manifest, and the checkpoints.

    Returns:
        A finding for each file, sorted by name; those without a problem too.

    Raises:
        InputError: The manifest is damaged.
    """
    manifest = run.record
    noted = [(str(name), str(digest)) for name, digest in manifest.artifacts.items()]
    if manifest.config_sha256:
        noted.append((CONFIG_FILE, str(manifest.config_sha256)))
    beside = _checksums_beside(run)
    noted += [(name, digest) for name, digest in beside.items() if digest]
    expected: dict[str, set[str]] = {name: set() for name in beside}
    for name, digest in noted:
        expected.setdefault(name, set()).add(digest)
    # Where a file system has no symbolic links, last.ckpt is a second name of a file whose checksum stands elsewhere.
    checkpoints = {digest for digest in beside.values() if digest}
    read = _remembering(sha256_file)
    return [_look(run, name, digests, checkpoints, read) for name, digests in sorted(expected.items())]


def _checksums_beside(run: Run) -> dict[str, str | None]:
    """The checkpoints by name with the hash in the `.sha256` beside each, or beside the file that it is a link to."""
    noted: dict[str, str | None] = {}
    named = {path.with_suffix("") for path in run.checkpoints.glob("*.ckpt.sha256")}
    for path in named | set(run.checkpoints.glob("*.ckpt")):
        file = path.resolve()
        try:
            words = checksum_path(file).read_text(encoding="ascii", errors="replace").split()
        except OSError:
            words = []
        noted[path.relative_to(run.path).as_posix()] = words[0] if words else None
    return noted


def _look(run: Run, name: str, expected: set[str], others: set[str], read: Callable[[Path], str]) -> Finding:
    """Compare one file with all hashes that were noted of it; `others` will do where none was."""
    told = min(expected, default=None)
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:  # a manifest may come from anywhere
        return Finding(name, "outside the run folder", told)
    try:
        found = read((run.path / name).resolve())
    except (FileNotFoundError, NotADirectoryError):
        return Finding(name, "missing", told)
    except OSError:
        return Finding(name, "unreadable", told)
    if not expected:
        return Finding(name, None if found in others else "no checksum", None, found)
    wrong = sorted(expected - {found})
    return Finding(name, "changed" if wrong else None, wrong[0] if wrong else found, found)


def _remembering(hash_file: Callable[[Path], str]) -> Callable[[Path], str]:
    """Hash each file once, as several names may lead to it."""
    known: dict[Path, str] = {}

    def read(path: Path) -> str:
        if path not in known:
            known[path] = hash_file(path)
        return known[path]

    return read
