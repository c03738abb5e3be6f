"""The request to stop: a signal notes it, the work asks for it where it can end well, a second signal ends at once.

The first SIGINT, SIGTERM, SIGUSR1 or SIGUSR2 is only noted, as it may come in the middle of a print or a save. What
comes within half a second of it is the same request: a terminal, a launcher and a cluster manager each tell a whole
group of processes, and often say it twice. Whatever comes later ends the process at once, also while it hangs in a call
that never returns to Python, which is why a thread waits for it: Python runs signal handlers in its main thread and
between two instructions only. A SIGTERM after the notice of a SIGUSR1 or SIGUSR2 is still the first request: a cluster
manager sends it at the time limit, and kills only later.
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
"""What asks a run to stop: a person (INT), or the machine it runs on (TERM, USR1, USR2)."""

_SAME_REQUEST = 0.5
_PATIENCE = 5.0
_OVER = b"\0"
_SHOW_CURSOR = b"\x1b[?25h"  # a progress bar hides it and has no time left to show it again


class _Listener:
    """What one process knows of the signals it got, and the thread that sees the second one."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.why: str | None = None
        self.at_once: Callable[[int], object] | None = None
        self.reader, self.writer = socket.socketpair()
        self.writer.setblocking(False)
        self.thread = threading.Thread(target=self._watch, name="aigc-signals", daemon=True)

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Note the first signal and nothing else; this is the handler."""
        if self.first is None:
            self.first = signal.Signals(number)

    def install(self) -> int:
        """Handle the signals; return who was told of them before."""
        for number in SIGNALS:
            signal.signal(number, self.note)
        return signal.set_wakeup_fd(self.writer.fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        """End the thread."""
        with contextlib.suppress(OSError):
            self.writer.send(_OVER)
        self.thread.join(1.0)
        self.writer.close()
        self.reader.close()

    def _watch(self) -> None:
        """Read the signals' numbers, which C writes the moment they arrive."""
        began = None
        while True:
            try:
                numbers = self.reader.recv(64)
            except OSError:
                return
            for number in numbers:
                if number not in SIGNALS:
                    continue  # SIGCHLD and others that someone else handles
                self.note(number)
                if began is None:
                    began = time.monotonic()
                elif time.monotonic() - began > _SAME_REQUEST and not self._announced(number):
                    self._end()
            if not numbers or _OVER in numbers:
                return

    def _announced(self, number: int) -> bool:
        """Whether a cluster manager gave notice by USR1 or USR2 and now tells once more: the save may be under way."""
        return number == signal.SIGTERM and self.first in (signal.SIGUSR1, signal.SIGUSR2)

    def _end(self) -> None:
        first = self.first or signal.SIGTERM
        if self.at_once is not None:
            _within(_PATIENCE, self.at_once, first)
        _within(1.0, _say_ended, first)
        os._exit(exit_for(first).exit_code)


_listener: _Listener | None = None


@contextmanager
def listening(at_once: Callable[[int], object] | None = None) -> Iterator[None]:
    """Listen for the request to stop, and put the handlers that were there back at the end.

    Does nothing outside the main thread, where no signal can be handled. Inside another `listening` the request of the
    outer one stays; the request ends with the outermost. A forked child is not asked to stop by its parent's signals.

    Args:
        at_once: Called with the first signal's number before a second signal ends the process, in a thread of its own
            beside whatever the main thread does; its exceptions are dropped, and it has five seconds. None leaves that
            of the outer `listening`.
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
    told = listener.install()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set by Python
        listener.at_once = at_once_before
        signal.set_wakeup_fd(told)
        if outermost:
            _listener = None
            listener.close()


def take_over() -> None:
    """Handle the signals again after a library has put its own handlers in place; only inside `listening`."""
    if _listener is not None and threading.current_thread() is threading.main_thread():
        _listener.install()


def asked() -> signal.Signals | None:
    """The signal that first asked this process to stop, if one did."""
    return _listener.first if _listener is not None else None


def ask_to_end(why: str) -> None:
    """Ask this process to stop as SIGTERM does, for a reason that is told instead of the signal."""
    if _listener is not None and _listener.first is None:
        _listener.why = why
    os.kill(os.getpid(), signal.SIGTERM)


def check(kept: str = "") -> None:
    """Stop here when asked.

    Args:
        kept: What is said after "told to end (SIGTERM)", with its own space or punctuation.

    Raises:
        InterruptedRun: A person asked (SIGINT).
        PreemptedRun: The machine asked (SIGTERM, SIGUSR1, SIGUSR2).
    """
    number = asked()
    if number is not None:
        raise ended_by(number, kept)


def ended_by(number: int, kept: str = "") -> InterruptedRun | PreemptedRun:
    """The error of a run that this signal ended; `kept` as for `check`."""
    why = _listener.why if _listener is not None and number == signal.SIGTERM else None
    told = f"told to end ({why or signal.Signals(number).name})"
    said = "interrupted" if number == signal.SIGINT else told
    return exit_for(number)(said + kept)


def exit_for(number: int) -> type[InterruptedRun] | type[PreemptedRun]:
    """Return how a run ends that this signal stopped; the class holds the exit code."""
    return InterruptedRun if number == signal.SIGINT else PreemptedRun


def _within(seconds: float, function: Callable[..., object], *arguments: Any) -> None:
    """Call a function, and continue without it when it fails or hangs."""

    def call() -> None:
        with contextlib.suppress(BaseException):
            function(*arguments)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)


def _say_ended(first: signal.Signals) -> None:
    """Write past every buffer and lock: the main thread may be in the middle of a print."""
    line = f"\naigc: asked twice to stop, first by {first.name}: ended at once\n".encode()
    os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + line)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Handle a signal in a forked child; unlike SIG_IGN this does not outlive an exec."""


def _leave_to_parent() -> None:
    """In a forked child: the parent decides what a signal to the whole group means, and may still terminate() us."""
    global _listener
    if _listener is None:
        return
    signal.set_wakeup_fd(-1)  # it would write into the parent's socket
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else _nothing)
    _listener.reader.close()
    _listener.writer.close()
    _listener = None


os.register_at_fork(after_in_child=_leave_to_parent)
