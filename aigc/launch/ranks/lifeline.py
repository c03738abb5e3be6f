"""A lifeline from a process to its launcher: when the launcher is gone for any reason, the process ends."""

import os
import threading
import time

from aigc.errors import PreemptedRun
from aigc.runs import stop

LIFELINE = "AIGC_LIFELINE"
"""Environment variable with a file descriptor that reads end-of-file when the launcher is gone."""
_PATIENCE = 600.0
"""Seconds to save and end in, after which the process ends anyway: nobody is left who would end one that hangs."""
_joined = threading.Event()


def hold_lifeline() -> None:
    """End this process once its launcher is gone; does nothing without a lifeline.

    It ends at once, or, after `save_first`, as SIGTERM ends it.
    """
    descriptor = os.environ.pop(LIFELINE, None)
    if descriptor is None:
        return

    def watch() -> None:
        os.read(int(descriptor), 1)  # nothing is ever written, so it returns when the other end is closed
        if _joined.is_set():
            stop.ask_to_end("the launching process is gone")
            time.sleep(_PATIENCE)
        os._exit(PreemptedRun.exit_code)

    threading.Thread(target=watch, name="aigc-lifeline", daemon=True).start()


def save_first() -> None:
    """Let this process save before it ends; before the ranks have joined, it waits for others that may be gone."""
    _joined.set()
