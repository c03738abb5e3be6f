"""Processes that do not outlive whoever started them: when it is gone, however it ended, they are asked to stop."""

import os
import threading

from aigc.runs import stop

LIFELINE = "AIGC_LIFELINE"
"""Environment variable with the number of a file descriptor that reads an end when the starter is gone."""


def hold_lifeline() -> None:
    """Ask this process to stop, as SIGTERM does, once its starter is gone; nothing without a starter that wants it."""
    descriptor = os.environ.pop(LIFELINE, None)
    if descriptor is None:
        return

    def watch() -> None:
        os.read(int(descriptor), 1)  # nothing is ever written: it returns when the other end is closed
        stop.ask_to_end("the launching process is gone")

    threading.Thread(target=watch, name="aigc-lifeline", daemon=True).start()
