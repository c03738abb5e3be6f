"""Data that ships with aigc; README.md in this folder says where each file came from and under which licence."""

from pathlib import Path

from aigc.errors import InputError

PREFIX = "asset:"
_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names that may stand after `asset:`, sorted."""
    return sorted(p.name for p in _FOLDER.iterdir() if p.is_file() and p.suffix not in {".md", ".py"})


def resolve(path: str) -> Path:
    """The file a config's path means: `asset:NAME` is a bundled file, anything else a path of its own (`~` expanded).

    Raises:
        InputError: There is no asset of that name.
    """
    if not path.startswith(PREFIX):
        return Path(path).expanduser()
    name = path.removeprefix(PREFIX)
    if name not in names():
        raise InputError(f"There is no asset '{name}'. Assets: {', '.join(names())}.")
    return _FOLDER / name
