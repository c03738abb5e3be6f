"""The config groups, their choices and the files behind them."""

from pathlib import Path

from aigc.config.locate import search_folders, shown_path
from aigc.files.names import is_hidden


def group_choices() -> dict[str, list[str]]:
    """Return every config group with its choices, as in `conf/<group>/<choice>.yaml`, including `./conf`.

    A file whose name starts with `_` is not a choice but a part of others. Hidden files and folders are left out.
    """
    choices: dict[str, set[str]] = {}
    for folder in search_folders():
        for path in folder.rglob("*.yaml"):
            parts = path.relative_to(folder).with_suffix("").parts
            if len(parts) > 1 and not parts[-1].startswith("_") and not is_hidden("/".join(parts)):
                choices.setdefault(parts[0], set()).add("/".join(parts[1:]))
    return {group: sorted(names) for group, names in sorted(choices.items())}


def config_files(config: str) -> list[Path]:
    """Return the files of a config by its path from the top, such as `data/text`; the one that is read comes first."""
    return [path for folder in search_folders() if _is_file(path := folder / f"{config}.yaml")]


def misnamed(config: str) -> str:
    """Return what to say of a file with this name and another ending; empty where there is none."""
    paths = [folder / f"{config}.yml" for folder in search_folders()]
    there = [path for path in paths if _is_file(path)]
    return f"{shown_path(there[0])} is there, and config files end in .yaml" if there else ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
