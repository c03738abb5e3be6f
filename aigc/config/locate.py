"""Locate configs: the packaged `conf`, and the user's `./conf`."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def conf_folder() -> Path:
    """Return the shipped `conf`: `aigc/conf` in an installed wheel, `conf` beside the package in a checkout."""
    for folder in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError(f"aigc was installed without its conf folder (looked beside and inside {PACKAGE})")


def own_conf_folder() -> Path | None:
    """Return `./conf` of the working directory, unless it is the shipped one."""
    folder = Path.cwd() / "conf"
    return folder if folder.is_dir() and folder.resolve() != conf_folder().resolve() else None


def search_folders() -> list[Path]:
    """Return the folders that are searched for a config, in order: the user's, then the shipped one."""
    own = own_conf_folder()
    return ([own] if own else []) + [conf_folder()]


def shown_path(path: Path) -> str:
    """Return a path for messages: relative to the working directory when it is below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
