"""Start and supervise several ranks on this machine: one process for each, ended together when one fails."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import IO

from aigc.config.trust import named_packages
from aigc.errors import AigcError
from aigc.launch.ranks.exits import ASKED, LAUNCH, RankExit, RankExits, log_path
from aigc.launch.ranks.lifeline import LIFELINE
from aigc.launch.worker import note_exit_of_ranks
from aigc.runs import Run, stop
from aigc.runs.console import log
from aigc.runs.environment import available_cores

_GRACE = 10.0
"""Seconds that the other ranks have to exit by themselves once one has failed."""


def run_ranks(run: Run, ranks: int, overrides: Sequence[str] = ()) -> None:
    """Train a run with several ranks, and wait for them.

    The output of the first rank goes to the screen, that of the others to `log.rank1.txt` and so on. A signal that
    stops this process is forwarded, so that the ranks save and exit. When this process dies, they stop as well.

    Args:
        run: The run.
        ranks: Number of ranks.
        overrides: As for `work`.

    Raises:
        AigcError: The run was stopped or failed; this is the error of the rank that failed first.
    """
    with run.working():  # raises where another process works on the run, before anything is changed
        notes = RankExits(run.path, secrets.token_hex(4))
        notes.clear()
    lifeline, alive = os.pipe()
    processes: list[subprocess.Popen[bytes]] = []
    try:
        shared = _environment(ranks, lifeline) | {LAUNCH: notes.launch}
        for rank in range(ranks):
            processes.append(_start(run, rank, shared, overrides, lifeline))
        with stop.listening():
            _wait(notes, processes)
    finally:
        os.close(alive)
        os.close(lifeline)
        _end(processes)
        for rank, process in enumerate(processes):
            if process.returncode:
                _note_rank_exit(notes, rank, process.returncode)
        cause = notes.cause()
        notes.clear(everything=True)
    codes = [process.returncode for process in processes]
    if cause is None and any(codes):  # the notes could not be written
        cause = _exit_by_code(*next((rank, code) for rank, code in enumerate(codes) if code))
    if cause is not None:
        note_exit_of_ranks(run, cause)
        raise cause.error(run.path)


def _environment(ranks: int, lifeline: int) -> dict[str, str]:
    """Return the environment variables that all ranks share."""
    shared = {
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        LIFELINE: str(lifeline),
    }
    cores = available_cores() or 1
    threads = {"OMP_NUM_THREADS": str(max(1, cores // ranks))}  # by default, each would use all cores
    return threads | dict(os.environ) | shared


def _free_port() -> int:
    """Return a free port below the range of outgoing connections, one of which might take it before the ranks do."""
    for _ in range(100):
        port = 15000 + secrets.randbelow(15000)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AigcError("there is no free port between 15000 and 30000 for the ranks")


def _start(
    run: Run, rank: int, shared: dict[str, str], overrides: Sequence[str], lifeline: int
) -> "subprocess.Popen[bytes]":
    trusted = [f"--trust={package}" for package in named_packages()]
    command = [sys.executable, "-P", "-m", "aigc.launch.worker", *trusted, str(run.path), *overrides]
    environment = shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    output: IO[bytes] | None = None if rank == 0 else log_path(run.path, rank).open("ab")
    try:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[lifeline],
            start_new_session=True,  # a terminal's Ctrl-C reaches them once, through this process
        )
    finally:
        if output is not None:
            output.close()


def _wait(notes: RankExits, processes: "list[subprocess.Popen[bytes]]") -> None:
    """Wait until all have exited, or until some seconds after one has failed."""
    forwarded, deadline = False, None
    seen: set[int] = set()
    while None in [process.poll() for process in processes]:
        number = stop.asked()
        if number is not None and not forwarded:
            forwarded = True
            _forward(processes, number)
        for rank, process in enumerate(processes):
            if process.returncode and rank not in seen:
                seen.add(rank)
                _note_rank_exit(notes, rank, process.returncode)
                # A rank that was asked to stop may take long to save: the first rank saves last.
                if rank == 0 or process.returncode not in ASKED:
                    deadline = deadline or time.monotonic() + _GRACE
        if deadline is not None and time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _note_rank_exit(notes: RankExits, rank: int, code: int) -> None:
    """Note the exit of a rank that left no note; the others wait for it to find the cause."""
    if not any(ending.rank == rank for ending in notes.noted()):
        notes.note(_exit_by_code(rank, code))


def _exit_by_code(rank: int, code: int) -> RankExit:
    """Return the exit of a rank that left no note, by its exit code."""
    asked = stop.asked()
    if asked is not None and code in (-asked, stop.exit_for(asked).exit_code):  # before or while it listened
        return RankExit(rank, time.time(), stop.exit_for(asked).exit_code, str(stop.ended_by(asked)))
    if code < 0:
        return RankExit(rank, time.time(), 1, f"rank {rank} was killed by {signal.Signals(-code).name}", killed=True)
    return RankExit(rank, time.time(), code, f"rank {rank} ended with exit code {code} and no message")


def _forward(processes: "list[subprocess.Popen[bytes]]", number: int) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)


def _end(processes: "list[subprocess.Popen[bytes]]") -> None:
    for process in processes:
        if process.poll() is None:
            log.warning("process %d did not end with the others and is killed", process.pid)
            process.kill()
        process.wait()
