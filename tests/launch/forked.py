"""Ranks and trials that are forked instead of started as Python processes, which import for seconds."""

import atexit
import logging
import multiprocessing.forkserver
import multiprocessing.util
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import IO

RANK = ["-P", "-m", "aigc.launch.worker"]
"""The command that starts a rank; other commands are not replaced."""
FORK_SERVER = "from multiprocessing.forkserver import main; "
"""The program of the process that a sweep forks its trials from."""


def fork_all() -> None:
    """Make this process, a launcher or the driver of a sweep, fork the processes that it starts."""
    from aigc.launch.ranks import supervisor

    names = {name: getattr(subprocess, name) for name in ("DEVNULL", "PIPE")}
    supervisor.subprocess = SimpleNamespace(Popen=ForkedRank, **names)  # only in this module
    original = multiprocessing.util.spawnv_passfds

    def start(path: bytes, arguments: Sequence[str], kept: Sequence[int]) -> int:
        if not arguments[-1].startswith(FORK_SERVER):
            return original(path, arguments, kept)
        return _fork_server(arguments[-1], kept)

    multiprocessing.util.spawnv_passfds = start


class ForkedRank:
    """The part of `subprocess.Popen` that the launcher needs, for a worker in a fork of this process."""

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
        assert list(command[1:4]) == RANK, command
        assert stdin == subprocess.DEVNULL
        assert start_new_session
        self.returncode: int | None = None
        variables = dict(env)

        def work() -> int:
            from aigc.launch import worker

            os.setsid()
            for number, stream in enumerate((stdout, stderr), start=1):
                if stream is not None:
                    os.dup2(stream.fileno(), number)
            _close_all_but(pass_fds)
            os.environ.clear()
            os.environ.update(variables)
            # The threads with which the launcher tokenised did not survive the fork.
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
            sys.argv = ["worker.py", *command[4:]]
            return worker.main()

        self.pid = _fork(work)

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal that ended it; None while it runs."""
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


def _fork_server(program: str, kept: Sequence[int]) -> int:
    """The process that trials are forked from."""

    def serve() -> int:
        _close_all_but(kept)
        multiprocessing.forkserver._forkserver._lock = threading.Lock()  # the parent holds it now
        exec(program, {})
        return 0

    return _fork(serve)


def _fork(work: Callable[[], int]) -> int:
    """Run a function in a fork that is like a new process except for imported modules; return its pid."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        logging.getLogger("aigc").handlers.clear()
        from tests.launch.faults import forget_parent

        forget_parent()
        code = work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _close_all_but(kept: Sequence[int]) -> None:
    """Close the files that a new process would not have."""
    first = 3
    for number in [*sorted(kept), os.sysconf("SC_OPEN_MAX")]:
        os.closerange(first, number)
        first = number + 1
