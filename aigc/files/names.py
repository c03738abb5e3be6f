"""Which names in a folder or an archive count as a person's files, and what is said of those that do not."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from aigc.printing import plural

_OF_SYSTEMS = frozenset(
    {
        "__macosx",  # macOS's archives
        "icon\r",  # macOS
        "thumbs.db",  # Windows
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "$recycle.bin",
        "system volume information",
        "lost+found",  # Linux
        "@eadir",  # Synology
        "#recycle",
        "#snapshot",
        "@recycle",  # QNAP
        "@recently-snapshot",
        "__pycache__",  # Python
    }
)
"""What systems put beside a person's files, in lower case."""
_OPEN_IN_OFFICE = "~$"
_PACKED = (".gz", ".bz2", ".xz", ".zst")
_LONGEST_ENDING = 12
_SHOWN = 8
LONGEST_NAME = 160
"""Bytes of a run's or a sweep's name: a file name has at most 255, and temporary names add to it."""


def name_problem(name: str) -> str:
    """Return what is wrong with the name of a run or a sweep, which is that of its folder; empty if nothing is."""
    ordinary = re.fullmatch(r"[\w.-]+", name) and name == name.strip("-.") and name != "latest"
    if ordinary and len(os.fsencode(name)) <= LONGEST_NAME:
        return ""
    shown = name if len(name) <= 60 else f"{name[:57]}..."
    allowed = "use letters, digits, '_', '-' and '.', and neither '-' nor '.' at the beginning or the end"
    return f"{shown!r} is not a valid folder name; {allowed}; at most {LONGEST_NAME} bytes, and not `latest`"


def is_hidden(path: str) -> bool:
    """Whether a file, or a folder that it lies in, is hidden or made by a system, such as `.git` and `__MACOSX`.

    Args:
        path: The path inside a folder or an archive, with `/` between folders.
    """
    return any(part.startswith((".", _OPEN_IN_OFFICE)) or part.lower() in _OF_SYSTEMS for part in path.split("/"))


def ending(path: str) -> str:
    """Return what a name ends in, in lower case, `.csv.gz` for example; empty where it has no ending."""
    name = PurePosixPath(path)
    last = name.suffix.lower()
    if last in _PACKED:
        last = PurePosixPath(name.stem).suffix.lower() + last
    return last if len(last) <= _LONGEST_ENDING and last.isprintable() and " " not in last else ""


@dataclass
class Found:
    """What is in a folder or an archive; hidden files are not mentioned.

    Attributes:
        files: The paths of those that count, with `/` between folders, in no order.
        left_out: How many others there are, by ending.
        special: The paths of pipes, sockets and devices with names that count.
    """

    files: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    special: list[str] = field(default_factory=list)

    def leave_out(self, paths: Iterable[str]) -> None:
        """Take files out of those that count."""
        away = set(paths)
        self.files = [path for path in self.files if path not in away]
        self.left_out.update(map(ending, away))

    def described(self, advice: Mapping[str, str] | None = None) -> str:
        """Describe what does not count: `3 files: .heic 2, .txt 1`.

        Args:
            advice: What to do about files of an ending.
        """
        number = self.left_out.total()
        most = sorted(self.left_out.items(), key=lambda one: (-one[1], one[0]))
        listed = [f"{end or 'without an ending'} {count:,}{_of(end, advice)}" for end, count in most[:_SHOWN]]
        more = sum(count for _, count in most[_SHOWN:])
        listed += [f"others {more:,}"] if more else []
        return f"{plural(number, 'file')}: {', '.join(listed)}"


def sort_out(paths: Iterable[str], counts: Callable[[str], bool]) -> Found:
    """Sort out the paths of the files in an archive."""
    found = Found()
    for path in paths:
        if not is_hidden(path):
            if counts(path):
                found.files.append(path)
            else:
                found.left_out[ending(path)] += 1
    return found


def _of(end: str, advice: Mapping[str, str] | None) -> str:
    return f" ({advice[end]})" if advice and end in advice else ""
