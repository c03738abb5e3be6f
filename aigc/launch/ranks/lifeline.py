"""A lifeline from a process to its launcher: when the launcher is gone for any reason, the process stops."""

import os
import threading

from aigc.runs import stop

LIFELINE = "AIGC_LIFELINE"
"""Environment variable with a file descriptor that reads end-of-file when the launcher is gone."""


def hold_lifeline() -> None:
    """Stop this process, as SIGTERM does, once its launcher is gone; does nothing without a lifeline."""
    descriptor = os.environ.pop(LIFELINE, None)
    if descriptor is None:
        return

    def watch() -> None:
        os.read(int(descriptor), 1)  # nothing is ever written, so it returns when the other end is closed
        stop.ask_to_end("the launching process is gone")

    threading.Thread(target=watch, name="aigc-lifeline", daemon=True).start()
