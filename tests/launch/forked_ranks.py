"""Ranks that are forked from the launcher in place of Python processes of their own, which import for seconds."""

import atexit
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import IO

PREFIX = ["-P", "-m", "aigc.launch.worker"]
"""What the launcher starts; anything else is not imitated here."""


class ForkedRank:
    """What the launcher needs of `subprocess.Popen`, for a worker in a fork of this process.

    The fork has the session, the streams, the environment, the open files and the signal handlers of a new process. It
    keeps the modules that were imported, and their caches.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdin: int,
        stdout: IO[bytes] | None,
        stderr: IO[bytes] | None,
        pass_fds: Sequence[int],
        start_new_session: bool,
    ) -> None:
        assert list(command[1:4]) == PREFIX, command
        assert stdin == subprocess.DEVNULL
        assert start_new_session
        self.returncode: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _become(list(command[4:]), dict(env), stdout, stderr, pass_fds)

    def poll(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        return self._hear(os.WNOHANG)

    def wait(self) -> int:
        """Wait for it, and return what `poll` does."""
        code = self._hear(0)
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _hear(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def fork_ranks() -> None:
    """Have the launcher fork its ranks from now on."""
    from aigc.launch.ranks import supervisor

    names = {name: getattr(subprocess, name) for name in ("DEVNULL", "PIPE")}
    supervisor.subprocess = SimpleNamespace(Popen=ForkedRank, **names)  # this module's alone


def _become(
    arguments: list[str],
    env: dict[str, str],
    stdout: IO[bytes] | None,
    stderr: IO[bytes] | None,
    pass_fds: Sequence[int],
) -> None:
    """Be a new process that works as a rank; it does not return."""
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        streams = (stdout, stderr)
        for number, stream in enumerate(streams, start=1):
            if stream is not None:
                os.dup2(stream.fileno(), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        first = 3
        for kept in [*sorted(pass_fds), os.sysconf("SC_OPEN_MAX")]:
            os.closerange(first, kept)
            first = kept + 1
        os.environ.clear()
        os.environ.update(env)
        sys.argv = ["worker.py", *arguments]
        _forget_parent()
        from aigc.launch import worker

        code = worker.main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _forget_parent() -> None:
    """Drop the messages' handlers and the random state of the launcher."""
    import logging

    from tests.launch.faults import forget_parent

    log = logging.getLogger("aigc")
    for handler in log.handlers[:]:
        log.removeHandler(handler)
    forget_parent()
