"""Graceful stop: a first signal sets a flag that training checks between steps, a second one exits at once.

The first SIGINT, SIGTERM, SIGUSR1 or SIGUSR2 only sets the flag, as it may arrive in the middle of a save. Signals
within half a second of it belong to the same request: terminals, launchers and cluster managers each signal a whole
group of processes, often twice. A later signal exits the process at once, even while it hangs in a call that never
returns to Python. This needs a thread, as Python runs signal handlers only in its main thread, between two
instructions. A SIGTERM after a SIGUSR1 or SIGUSR2 still belongs to the first request: a cluster manager sends it at the
time limit, and kills only later.
"""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from aigc.errors import InterruptedRun, PreemptedRun

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that stop a run, sent by a person (INT) or by the machine (TERM, USR1, USR2)."""

_SAME_REQUEST = 0.5
_PATIENCE = 5.0
_CLOSE = b"\0"
_SHOW_CURSOR = b"\x1b[?25h"  # a progress bar hides the cursor, and is not closed in this case


class _Listener:
    """The stop request of this process, and the thread that waits for a second signal."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.why: str | None = None
        self.at_once: Callable[[int], object] | None = None
        self.reader, self.writer = socket.socketpair()
        self.writer.setblocking(False)
        self.thread = threading.Thread(target=self._watch, name="aigc-signals", daemon=True)

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal: record the first one."""
        if self.first is None:
            self.first = signal.Signals(number)

    def install(self) -> int:
        """Install the handlers; return the former wakeup file descriptor."""
        for number in SIGNALS:
            signal.signal(number, self.note)
        return signal.set_wakeup_fd(self.writer.fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        """End the thread."""
        with contextlib.suppress(OSError):
            self.writer.send(_CLOSE)
        self.thread.join(1.0)
        self.writer.close()
        self.reader.close()

    def _watch(self) -> None:
        """Read the numbers of arriving signals, which the C-level handler writes."""
        began = None
        while True:
            try:
                numbers = self.reader.recv(64)
            except OSError:
                return
            for number in numbers:
                if number not in SIGNALS:
                    continue  # SIGCHLD and others, handled elsewhere
                self.note(number)
                if began is None:
                    began = time.monotonic()
                elif time.monotonic() - began > _SAME_REQUEST and not self._announced(number):
                    self._end()
            if not numbers or _CLOSE in numbers:
                return

    def _announced(self, number: int) -> bool:
        """Whether this SIGTERM follows a notice by USR1 or USR2, while the save may be under way."""
        return number == signal.SIGTERM and self.first in (signal.SIGUSR1, signal.SIGUSR2)

    def _end(self) -> None:
        first = self.first or signal.SIGTERM
        if self.at_once is not None:
            _within(_PATIENCE, self.at_once, first)
        _within(1.0, _report_exit, first)
        os._exit(exit_for(first).exit_code)


_listener: _Listener | None = None


@contextmanager
def listening(at_once: Callable[[int], object] | None = None) -> Iterator[None]:
    """Handle stop requests, and restore the former handlers at the end.

    Does nothing outside the main thread, where no signal can be handled. A nested `listening` shares the request of the
    outer one, which ends with the outermost. A forked child ignores the requests of its parent.

    Args:
        at_once: Called with the first signal's number before a second signal exits the process, in a separate thread,
            for at most five seconds; its exceptions are dropped. None keeps that of the outer `listening`.
    """
    global _listener
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outermost = _listener is None
    listener = _listener or _Listener()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    at_once_before = listener.at_once
    listener.at_once = at_once or at_once_before
    if outermost:
        _listener = listener
        listener.thread.start()
    wakeup = listener.install()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set by Python
        listener.at_once = at_once_before
        signal.set_wakeup_fd(wakeup)
        if outermost:
            _listener = None
            listener.close()


def take_over() -> None:
    """Install the handlers again after a library has replaced them; only inside `listening`."""
    if _listener is not None and threading.current_thread() is threading.main_thread():
        _listener.install()


def asked() -> signal.Signals | None:
    """Return the signal that first asked this process to stop; None without a request."""
    return _listener.first if _listener is not None else None


def ask_to_end(why: str) -> None:
    """Ask this process to stop as SIGTERM does, with a reason for the message instead of the signal."""
    if _listener is not None and _listener.first is None:
        _listener.why = why
    os.kill(os.getpid(), signal.SIGTERM)


def check(kept: str = "") -> None:
    """Raise an exception if this process was asked to stop.

    Args:
        kept: Text after "asked to stop (SIGTERM)" in the message, with its own space or punctuation.

    Raises:
        InterruptedRun: A person asked (SIGINT).
        PreemptedRun: The machine asked (SIGTERM, SIGUSR1, SIGUSR2).
    """
    number = asked()
    if number is not None:
        raise ended_by(number, kept)


def ended_by(number: int, kept: str = "") -> InterruptedRun | PreemptedRun:
    """Return the exception of a run that this signal ended; `kept` as for `check`."""
    why = _listener.why if _listener is not None and number == signal.SIGTERM else None
    message = "interrupted" if number == signal.SIGINT else f"asked to stop ({why or signal.Signals(number).name})"
    return exit_for(number)(message + kept)


def exit_for(number: int) -> type[InterruptedRun] | type[PreemptedRun]:
    """Return the exception class of a run that this signal ended, which has the exit code."""
    return InterruptedRun if number == signal.SIGINT else PreemptedRun


def _within(seconds: float, function: Callable[..., object], *arguments: Any) -> None:
    """Call a function, and continue when it fails or takes too long."""

    def call() -> None:
        with contextlib.suppress(BaseException):
            function(*arguments)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)


def _report_exit(first: signal.Signals) -> None:
    """Write to stderr without buffers and locks, as the main thread may be in the middle of a print."""
    line = f"\naigc: asked twice to stop, first by {first.name}: ended at once\n".encode()
    os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + line)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Ignore a signal in a forked child; unlike SIG_IGN, this does not survive an exec."""


def _leave_to_parent() -> None:
    """Reset the handlers in a forked child: its parent handles signals to the group, and may still terminate it."""
    global _listener
    if _listener is None:
        return
    signal.set_wakeup_fd(-1)  # it is the parent's socket
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else _ignore)
    _listener.reader.close()
    _listener.writer.close()
    _listener = None


os.register_at_fork(after_in_child=_leave_to_parent)
