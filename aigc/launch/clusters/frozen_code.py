"""The code of a queued run, copied when it is submitted, so that later edits do not change it.

From each git repository, this copies what `git archive` of the commit would give, with all uncommitted changes and
untracked code that is not ignored. Installed packages are not checkouts and are not copied.
"""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aigc
from aigc.errors import InputError
from aigc.runs.files import sync_folder

CODE = "code"
"""The folder in the run folder."""
_UNTRACKED = frozenset(
    (*(".py", ".pyx", ".pyi", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".sh"), *(".yaml", ".yml", ".toml", ".json"))
)


@dataclass
class _Source:
    """A repository to copy from.

    Args:
        top: Its top folder.
        name: The name of its copy.
        only: The folders that hold code; empty takes all.
        first: Folders from which packages are imported even if they are not on `sys.path` now.
    """

    top: Path
    name: str
    only: tuple[str, ...] = ()
    first: list[Path] = field(default_factory=list)


def freeze_code(run: Path, outputs: Path, limit: int) -> list[Path]:
    """Copy the code of aigc and of the working directory into a run folder atomically.

    Args:
        run: The run folder.
        outputs: The folder of results, which is left out.
        limit: Largest size of the copy in bytes.

    Returns:
        The folders of the copy from which Python imports, in order; empty where nothing is in git.

    Raises:
        InputError: The code is larger than the limit, or cannot be copied.
    """
    sources = list(_sources())
    if not sources:
        return []
    temporary = run / f".{CODE}.{secrets.token_hex(4)}.tmp"
    try:
        temporary.mkdir(mode=0o700)
        for source in sources:
            names = list(_names(source, outputs))
            _check_size(source, names, limit)
            for name in names:
                _copy(source.top / name, temporary / source.name / name)
        temporary.rename(run / CODE)
        sync_folder(run)
    except OSError as error:
        raise InputError(f"the code cannot be copied into {run}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return list(dict.fromkeys(path for source in sources for path in _import_folders(source, run / CODE)))


def planned_folders(run: Path) -> list[Path]:
    """Return the folders from which Python will import, without making the copy."""
    code = run / CODE
    return [code / s.name / folder.resolve().relative_to(s.top) for s in _sources() for folder in s.first[:1]]


def _sources() -> Iterator[_Source]:
    checkout = Path(aigc.__file__).resolve().parents[1]
    here = Path.cwd()
    project = _top_of(here)
    if project == checkout:
        yield _Source(checkout, "aigc", first=[checkout, here])
        return
    if (checkout / ".git").exists():
        yield _Source(checkout, "aigc", only=("aigc", "conf"), first=[checkout])
    if project is not None:
        yield _Source(project, "project", first=[here])


def _top_of(folder: Path) -> Path | None:
    found = _git(folder, "rev-parse", "--show-toplevel")
    return Path(os.fsdecode(found.rstrip(b"\n"))).resolve() if found else None


def _names(source: _Source, outputs: Path) -> Iterator[str]:
    """Yield the code files of a repository, relative to its top."""
    tracked = _git(source.top, "ls-files", "-z", "--recurse-submodules", "--", *source.only)
    untracked = _git(source.top, "ls-files", "-z", "--others", "--exclude-standard", "--", *source.only)
    if tracked is None or untracked is None:
        raise InputError(f"git does not list the files of {source.top}; cluster.freeze_code=false freezes no code")
    excluded = outputs.resolve()
    for listing, take_all in ((tracked, True), (untracked, False)):
        for name in map(os.fsdecode, filter(None, listing.split(b"\0"))):
            path = source.top / name
            wanted = take_all or path.suffix.lower() in _UNTRACKED
            if wanted and excluded not in path.parents and os.path.lexists(path) and not _is_folder(path):
                yield name


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _check_size(source: _Source, names: list[str], limit: int) -> None:
    sizes = {name: (source.top / name).lstat().st_size for name in names}
    total = sum(sizes.values())
    if total > limit:
        largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:3]
        listed = ", ".join(f"{name} ({sizes[name] / 1e6:.0f} MB)" for name in largest)
        raise InputError(
            f"the code in {source.top} has {total / 1e6:.0f} MB, and cluster.code_megabytes allows "
            f"{limit / 1e6:.0f}; the largest files: {listed}. Raise the limit, keep data out of git, or set "
            "cluster.freeze_code=false"
        )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def _import_folders(source: _Source, code: Path) -> Iterator[Path]:
    """Yield the folders of the copy that correspond to this repository's folders on `sys.path`."""
    for folder in [*source.first, *map(Path, filter(None, sys.path))]:
        folder = folder.resolve()
        if folder == source.top or source.top in folder.parents:
            copied = code / source.name / folder.relative_to(source.top)
            if copied.is_dir():
                yield copied


def _git(folder: Path, *arguments: str) -> bytes | None:
    hidden = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}  # a git hook sets these to the hook's repository
    environment = {key: value for key, value in os.environ.items() if key not in hidden} | {"GIT_OPTIONAL_LOCKS": "0"}
    # A repository may configure a program as its file system monitor; reading the code must not run it.
    command = ["git", "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
