"""Folders of pretrained weights, as far as they can be checked without torch."""

from pathlib import Path

from aigc.errors import InputError


def check_model_path(path: str) -> None:
    """Check that a folder of weights can be there; a name on the Hub is left to Transformers.

    Raises:
        InputError: It is written as a path, and no such folder exists.
    """
    folder = Path(path).expanduser()
    may_be_hub_name = path.count("/") <= 1 and not path.startswith((".", "/", "~")) and not path.endswith("/")
    if not folder.exists() and not may_be_hub_name:
        raise InputError(f"{path}: no such folder")
