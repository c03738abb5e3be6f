"""The files of text in a folder."""

from collections.abc import Callable
from pathlib import Path

from aigc.data.left_out import log_left_out
from aigc.data.text.formats import formats, suffix_of, suffixes
from aigc.errors import InputError
from aigc.files.search import holds_any, search
from aigc.files.text import PACKED

_NO_ROWS = frozenset(
    {
        "config.json",
        "dataset_dict.json",
        "dataset_info.json",
        "dataset_infos.json",
        "generation_config.json",
        "metadata.json",
        "package.json",
        "special_tokens_map.json",
        "state.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
    }
)
"""JSON files that describe others and hold no rows."""


def text_files() -> Callable[[str], bool]:
    """Make the rule for which files in a folder count as text by their paths; the formats are looked up once."""
    known = frozenset(formats())

    def counts(path: str) -> bool:
        name = Path(path)
        return suffix_of(name).removesuffix(PACKED) in known and name.name not in _NO_ROWS

    return counts


def find_files(name: str, folder: Path, also: str = "") -> dict[str, Path]:
    """Find the files of text below a folder; what does not count is logged.

    Args:
        name: The folder in messages.
        folder: The folder.
        also: What else is allowed, for the message.

    Returns:
        The files by their paths inside the folder, sorted as strings.

    Raises:
        InputError: There are none, or a folder cannot be listed.
    """
    found = search(folder, text_files())
    found.leave_out(packed_copies(found.files))
    if not found.files:
        others = f", and {found.described()}" if found.left_out else ""
        raise InputError(f"{name}: the folder holds no data file{others}; allowed: {suffixes()}{also}.")
    log_left_out(name, found)
    return {path: folder / path for path in sorted(found.files)}


def check_folder(name: str, folder: Path, also: str = "") -> None:
    """Check that a folder holds a file of text, without looking at more files than needed.

    Raises:
        InputError: As `find_files`.
    """
    if not holds_any(folder, text_files()):
        find_files(name, folder, also)


def packed_copies(paths: list[str]) -> list[str]:
    """Return those files that are packed and lie beside the same file unpacked."""
    there = set(paths)
    return [path for path in paths if path.lower().endswith(PACKED) and path[: -len(PACKED)] in there]
