"""Real processes without seconds of imports: children of a process that has imported everything."""

import atexit
import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PRELOADED = [
    "aigc.cli.generate",
    "aigc.cli.reproduce",
    "aigc.cli.parts.result",
    "aigc.cli.resume",
    "aigc.cli.score_images",
    "aigc.cli.train",
    "aigc.evaluation",
    "aigc.launch.start",
    "aigc.launch.train",
    "aigc.launch.worker",
    "sacrebleu",
    "tests.launch.faults",
    "transformers.models.gpt2.modeling_gpt2",
]


class Child:
    """A process that leads its own process group."""

    def __init__(self, server: "Server", pid: int, output: Path):
        self._server = server
        self._output = output
        self.pid = pid

    @property
    def output(self) -> str:
        """Its output to stdout and stderr so far."""
        return self._output.read_text("utf-8")

    @property
    def ended(self) -> bool:
        """Whether it is gone, including a dead one that its parent has not reaped yet."""
        self._server.hear(0)
        return self.pid in self._server.ends

    @property
    def group(self) -> list[int]:
        """Return the living processes of its group."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, leader = path.read_text().rpartition(")")[2].split()[:3]
                if int(leader) == self.pid and state not in "ZX":
                    found.append(int(path.parent.name))
        return found

    def send(self, number: int) -> None:
        """Send a signal to the process alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def send_to_group(self, number: int) -> None:
        """Send a signal to the process and its data workers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self) -> int:
        """Wait, and return its exit code, or minus the number of the signal that ended it."""
        wait_until(lambda: self.ended, lambda: f"process {self.pid} does not end; it wrote\n{self.output}")
        return self._server.ends[self.pid]

    def kill(self) -> int:
        """Send SIGKILL; return its exit code, which is -9 unless it had ended before."""
        self.send(signal.SIGKILL)
        return self.wait()


class Server:
    """The process that has imported everything."""

    def __init__(self) -> None:
        env = os.environ | ONE_THREAD
        command = [sys.executable, "-m", "tests.launch.forking"]
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.ends: dict[int, int] = {}
        """Exit codes of the children that have ended, by process."""
        self._started: list[int] = []
        self._children: set[int] = set()
        self._rest = b""
        atexit.register(self.close)
        wait_until(lambda: self.hear(1.0))

    def start(
        self,
        arguments: Sequence[str],
        place: Path,
        faults: Sequence[Sequence[Any]] = (),
        streams: Sequence[Path] | None = None,
        real: bool = False,
        module: str | None = None,
        **env: str,
    ) -> Child:
        """Run `aigc ...`, or a module, in a child.

        Args:
            arguments: Those of the command line.
            place: Its working directory.
            faults: Functions of tests.launch.faults that are called first, with arguments: `[["slow_writes", 0.01]]`.
            streams: Files for stdin, stdout and stderr; without them what it says is kept in its working directory.
            real: Start Python for ranks and trials; otherwise they are forked, which spares their imports.
            module: What runs as the main program in place of `aigc`.
            env: Environment variables, beside those of this process.
        """
        output = place / f".output-{time.monotonic_ns()}"
        if streams is None:
            output.touch()
        paths = [str(path) for path in streams or (os.devnull, output, output)]
        variables = os.environ | ONE_THREAD | env
        request = {"arguments": list(arguments), "cwd": str(place), "streams": paths, "faults": faults}
        request |= {"env": dict(variables), "real": real, "module": module}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        wait_until(lambda: self.hear(1.0) and self._started)
        pid = self._started.pop()
        self._children.add(pid)
        return Child(self, pid, output)

    def hear(self, timeout: float) -> bool:
        """Read the output of the server; return whether there was any."""
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            return False
        data = os.read(self._process.stdout.fileno(), 1 << 16)
        assert data, "the fork server is gone; its stderr says why"
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "started" in told:
                self._started.append(told["started"])
            elif "ended" in told:
                self.ends[told["ended"]] = told["code"]
        return True

    def close(self) -> None:
        """End it, and the processes that a failed test has left."""
        for pid in self._children - self.ends.keys():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self._process.kill()  # closing its stdin would not end it while another child holds the pipe
        self._process.wait(timeout=PATIENCE)
        self._process.stdin.close()
        self._process.stdout.close()


@cache
def server() -> Server:
    """Return the server that all tests of this process share."""
    return Server()


def run_aigc(arguments: Sequence[str], place: Path, stdin: str = "", **env: str) -> "subprocess.CompletedProcess[str]":
    """Run `aigc ...` in a child, as `subprocess.run` with text and a pipe for each stream."""
    with tempfile.TemporaryDirectory() as folder:
        given, *told = (Path(folder) / name for name in ("stdin", "stdout", "stderr"))
        given.write_text(stdin, encoding="utf-8")
        child = server().start(arguments, place, streams=(given, *told), **env)
        try:
            code = child.wait()
        except BaseException:
            child.send_to_group(signal.SIGKILL)
            raise
        output, errors = (path.read_text("utf-8") for path in told)
    return subprocess.CompletedProcess(["aigc", *arguments], code, output, errors)


def _serve() -> int:
    """Fork a child for each line of JSON on stdin, and report on stdout how each of them ends."""
    for name in PRELOADED:
        importlib.import_module(name)
    from aigc.cli.main import main

    with contextlib.redirect_stdout(sys.stderr):
        main(["validate"])  # fills the caches of aigc.config, without torch
    tasks = Path("/proc/self/task")  # a fork loses all threads but one; one that has been joined may show for a moment
    wait_until(lambda: len(list(tasks.iterdir())) == 1, lambda: "the fork server has threads")
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer)
    _say(ready=True)
    rest = b""
    while True:
        readable, _, _ = select.select([0, reader], [], [])
        if reader in readable:
            os.read(reader, 1 << 10)
            _reap()
        if 0 in readable:
            data = os.read(0, 1 << 16)
            if not data:
                return 0
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.close(reader)
                    os.close(writer)
                    _attempt(**json.loads(line))
                _say(started=pid)


def _attempt(
    arguments: list[str],
    cwd: str,
    streams: list[str],
    faults: list[list[Any]],
    env: dict[str, str],
    real: bool,
    module: str | None,
) -> None:
    """Run a child; does not return."""
    code = 1
    try:
        os.setpgid(0, 0)
        for number, path in enumerate(streams):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY), number)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = [module or "aigc", *arguments]
        import tests.launch.faults

        tests.launch.faults.forget_parent()
        if not real:
            from tests.launch.forked import fork_all

            fork_all()
        for name, *given in faults:
            getattr(tests.launch.faults, name)(*given)
        if module is not None:
            runpy.run_module(module, run_name="__main__")
            code = 0
        else:
            from aigc.cli.main import main

            code = main(arguments)
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the shutdown of the interpreter takes longer than the training


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            _say(ended=found[0], code=os.waitstatus_to_exitcode(found[1]))


def _say(**told: Any) -> None:
    os.write(1, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(_serve())
