"""The git state of the code that a run started from; missing git or a missing repository is not an error."""

import contextlib
import hashlib
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from aigc.files.secrets import redact_code

PATCH_LIMIT = 1_000_000
_TIMEOUT = 5.0
_LISTED_FILES = 200
_HASHED_BYTES = 1 << 24
# Untracked files with these suffixes are code; data, notes and outputs do not affect a run.
_CODE = frozenset((".py", ".pyx", ".c", ".cc", ".cpp", ".cu", ".h", ".sh"))
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # the tree of HEAD before the first commit


def git_state(folder: Path | str, ignore: Path | None = None) -> dict[str, Any] | None:
    """Return {sha, branch, dirty, patch_sha256} of the repository around `folder`, or None where there is none.

    `sha` is None before the first commit, `branch` is None on a detached head, and untracked files make it dirty.
    `patch_sha256` is a hash of all uncommitted changes and of the content of untracked code; None when there are none.

    Args:
        folder: Any folder of the repository.
        ignore: A folder below it whose files are ignored, such as the folder of all runs.
    """
    git = _Git(folder)
    output = git.run("status", "--porcelain=v2", "--branch", "-z", *_paths(folder, ignore))
    if output is None:
        return None
    headers = {}
    dirty = False
    for entry in output.decode("utf-8", "replace").split("\0"):
        if entry.startswith("# "):
            name, _, value = entry[2:].partition(" ")
            headers[name] = value
        elif entry:
            dirty = True
    sha, branch = headers.get("branch.oid"), headers.get("branch.head")
    return {
        "sha": None if sha == "(initial)" else sha,
        "branch": None if branch == "(detached)" else branch,
        "dirty": dirty,
        "patch_sha256": _hash_changes(git, ignore) if dirty else None,
    }


def code_patch(folder: Path | str, ignore: Path | None = None) -> str:
    """Return the uncommitted changes of the repository around `folder`, redacted; empty when there are none.

    Untracked text files are listed in comment lines at the top, which `git apply` skips; their content is not kept.
    A patch beyond `PATCH_LIMIT` bytes is truncated, with a last line that says so.

    Args:
        folder: Any folder of the repository.
        ignore: A folder of the repository whose untracked files are not listed.
    """
    git = _Git(folder)
    diff, names = _changes(git, ignore, PATCH_LIMIT)
    listing = _list_untracked(git.folder, names)
    text = diff.decode("utf-8", "replace")
    if len(diff) > PATCH_LIMIT:
        text = text[: text.rfind("\n", 0, PATCH_LIMIT) + 1] + f"# truncated: the changes exceed {PATCH_LIMIT} bytes\n"
    return redact_code(listing + text)


def _changes(git: "_Git", ignore: Path | None, limit: int) -> tuple[bytes, list[str]]:
    """Return at most `limit` + 1 bytes of the uncommitted changes, and the untracked files; move `git` to the top."""
    top = git.run("rev-parse", "--show-toplevel")
    if top is None:
        return b"", []
    git.folder = Path(os.fsdecode(top.rstrip(b"\n")))
    base = "HEAD" if git.run("rev-parse", "--verify", "--quiet", "HEAD") else _EMPTY_TREE
    diff = git.run("diff", "--no-ext-diff", "--no-textconv", "--no-color", base, limit=limit) or b""
    names = git.run("ls-files", "--others", "--exclude-standard", "-z", *_paths(git.folder, ignore)) or b""
    return diff, [os.fsdecode(name) for name in names.split(b"\0") if name]


def _hash_changes(git: "_Git", ignore: Path | None) -> str | None:
    diff, names = _changes(git, ignore, _HASHED_BYTES)
    code = [name for name in names if Path(name).suffix.lower() in _CODE][:_LISTED_FILES]
    if not diff and not code:
        return None
    total = hashlib.sha256(diff)
    for name in code:
        total.update(b"\0" + os.fsencode(name) + b"\0")
        with contextlib.suppress(OSError), (git.folder / name).open("rb") as file:
            total.update(hashlib.sha256(file.read(PATCH_LIMIT)).digest())
    return total.hexdigest()


def _paths(folder: Path | str, ignore: Path | None) -> list[str]:
    """Return arguments for the whole repository except the files in `ignore`."""
    folder = Path(folder).resolve()
    if ignore is None or folder not in ignore.resolve().parents:
        return []
    return ["--", ":/", f":(exclude,literal){ignore.resolve().relative_to(folder)}"]


def _list_untracked(top: Path, names: list[str]) -> str:
    texts = [name for name in names[:_LISTED_FILES] if _is_text(top / name)]
    lines = [f"# untracked: {name}\n" for name in texts]
    if len(names) > _LISTED_FILES:
        lines.append(f"# and {len(names) - _LISTED_FILES} more untracked files\n")
    return "".join(lines)


def _is_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(8192)
    except OSError:
        return False


class _Git:
    """Runs git commands in one folder that take at most `_TIMEOUT` seconds in total."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._deadline = time.monotonic() + _TIMEOUT
        # A git hook sets these to its own repository.
        hidden = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
        self._environment = {key: value for key, value in os.environ.items() if key not in hidden}
        self._environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}

    def run(self, *arguments: str, limit: int = 1 << 24) -> bytes | None:
        """Return at most `limit` + 1 bytes of output; None when git is missing, fails or is too slow."""
        # A repository may configure a program as its file system monitor; reading the code must not run it.
        command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *arguments]
        try:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            return None
        timer = threading.Timer(max(0.0, self._deadline - time.monotonic()), process.kill)
        timer.start()
        try:
            with process:
                assert process.stdout is not None
                output = process.stdout.read(limit + 1)
                if len(output) > limit:
                    process.kill()
        finally:
            timer.cancel()
        return output if len(output) > limit or process.returncode == 0 else None
