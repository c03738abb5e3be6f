"""What is said of the files in a folder or an archive that do not count."""

import logging
from collections.abc import Mapping

from aigc.data.progress import log_once
from aigc.files.names import Found

_SHOWN = 3


def log_left_out(name: str, found: Found, advice: Mapping[str, str] | None = None) -> None:
    """Say once in a process which files do not count.

    Args:
        name: The folder or archive in messages.
        found: What is in it.
        advice: What to do about files of an ending.
    """
    if found.left_out:
        log_once(f"{name}: left out {found.described(advice)}")
    if found.special:
        shown = ", ".join(sorted(found.special)[:_SHOWN]) + (", ..." if len(found.special) > _SHOWN else "")
        what = f"pipes, sockets or devices and no files: {shown} ({len(found.special):,})"
        log_once(f"{name}: left out, as they are {what}", logging.WARNING)
