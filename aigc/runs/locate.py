"""Find run folders: the folder of all runs, a run by its name, the latest run."""

import json
import os
import re
from pathlib import Path

from aigc.errors import InputError
from aigc.printing import plural
from aigc.runs.manifest import MANIFEST_FILE

CONFIG_FILE = "config.yaml"
_RUN_ID = re.compile(r".+-\d{8}-\d{6}-[0-9a-f]{4}")


def default_root() -> Path:
    """Return the folder of all runs: $AIGC_OUTPUTS/runs, or outputs/runs in the working directory."""
    return Path(os.environ.get("AIGC_OUTPUTS") or "outputs").expanduser() / "runs"


def runs_root(root: Path | str | None = None) -> Path:
    """Return the folder of all runs: `root`, or `runs` in it where that is the folder of outputs."""
    if root is None:
        return default_root()
    inner = Path(root) / "runs"
    return inner if inner.is_dir() and not _is_run(inner) else Path(root)


def run_folders(root: Path) -> list[Path]:
    """Return all run folders in `root`, newest first; without a readable manifest, by file time."""
    try:
        entries = [entry for entry in root.iterdir() if not entry.name.startswith(".") and entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"cannot read the runs in {root}: {error.strerror}.") from error
    folders = [entry for entry in entries if _RUN_ID.fullmatch(entry.name) or _is_run(entry)]
    return sorted(folders, key=lambda folder: (_created(folder), folder.name), reverse=True)


def find_run(name: str | Path, root: Path | None = None) -> Path:
    """Return the folder of a run by its name.

    Args:
        name: A run id, a unique prefix of one, a path to a run folder, or `latest`.
        root: As for `runs_root`.

    Raises:
        InputError: No run has that name, several match, or the path is not a run folder.
    """
    root = runs_root(root)
    text = str(name)
    if isinstance(name, Path) or os.sep in text or text in {"", ".", ".."}:
        return _check_run(Path(name).expanduser())
    if text == "latest":
        return _find_latest(root)
    if (root / text).is_dir() and not text.startswith("."):
        return _check_run(root / text)
    matches = [folder for folder in run_folders(root) if folder.name.startswith(text)]
    if len(matches) == 1:
        return _check_run(matches[0])
    if matches:
        listed = ", ".join(sorted(folder.name for folder in matches[:10]))
        more = f" and {len(matches) - 10} more" if len(matches) > 10 else ""
        raise InputError(f"{text!r} matches {plural(len(matches), 'run')}: {listed}{more}. Give a longer prefix.")
    if Path(text).is_dir():
        return _check_run(Path(text))
    raise InputError(_unknown(text, root))


def _find_latest(root: Path) -> Path:
    for folder in run_folders(root):
        if _is_run(folder) and _manifest_time(folder):
            return folder
    raise InputError(f"there are no runs in {root} yet: start one with `aigc train`.")


def _unknown(text: str, root: Path) -> str:
    from aigc.config.problems import similar  # importing aigc.runs stays light without it

    ids = [folder.name for folder in run_folders(root)]
    if not ids:
        return f"there is no run {text!r}: {root} holds no runs yet. Start one with `aigc train`."
    # The name may be that of an experiment, or a mistyped id: compare both.
    names = {name: name for name in reversed(ids)} | {name.rsplit("-", 3)[0]: name for name in reversed(ids)}
    close = dict.fromkeys(names[match] for match in similar(text, names, most=3, cutoff=0.5))
    nearest = f" Nearest: {', '.join(close)}." if close else ""
    return f"there is no run {text!r} in {root}.{nearest} `aigc ls` lists all runs."


def _check_run(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"there is no run folder {folder}. `aigc ls` lists all runs.")
    missing = [name for name in (MANIFEST_FILE, CONFIG_FILE) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} is not a run folder: it has no {' and no '.join(missing)}. `aigc ls` lists all runs."
        )
    return folder


def _is_run(folder: Path) -> bool:
    return (folder / MANIFEST_FILE).is_file() and (folder / CONFIG_FILE).is_file()


def _created(folder: Path) -> str:
    from datetime import UTC, datetime

    try:
        modified = datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="microseconds")
    except OSError:
        modified = ""  # it was removed meanwhile
    return _manifest_time(folder) or modified


def _manifest_time(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))["created"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
