"""Several ranks on this machine: one process for each, all of which end with the first that fails."""

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
from aigc.launch.ranks.exits import ASKED, LAUNCH, RankExit, RankExits, log_of
from aigc.launch.ranks.lifeline import LIFELINE
from aigc.launch.worker import note_exit_of_ranks
from aigc.runs import Run, stop
from aigc.runs.console import log
from aigc.runs.environment import available_cores

_GRACE = 10.0
"""Seconds that the other ranks have to end by themselves once one has failed."""


def run_ranks(run: Run, ranks: int, overrides: Sequence[str] = ()) -> None:
    """Train a run with several ranks, and wait for them.

    The output of the first rank goes to the screen, that of the others to `log.rank1.txt` and so on. A signal that asks
    this process to stop is passed on, so that they save and end. When this process dies, they are asked to stop, too.

    Args:
        run: The run.
        ranks: How many.
        overrides: As for `work`.

    Raises:
        AigcError: The run was stopped or failed; it is the error of the rank that failed first.
    """
    with run.working():  # before anything of a run that another process works on is touched
        notes = RankExits(run.path, secrets.token_hex(4))
        notes.forget()
    lifeline, alive = os.pipe()
    processes: list[subprocess.Popen[bytes]] = []
    try:
        shared = _environment(ranks, lifeline) | {LAUNCH: notes.launch}
        for rank in range(ranks):
            processes.append(_start(run, rank, shared, overrides, lifeline))
        with stop.listening():
            _attend(notes, processes)
    finally:
        os.close(alive)
        os.close(lifeline)
        _end(processes)
        for rank, process in enumerate(processes):
            if process.returncode:
                _note_rank_exit(notes, rank, process.returncode)
        cause = notes.cause()
        notes.forget(all_of_them=True)
    codes = [process.returncode for process in processes]
    if cause is None and any(codes):  # a disk that takes no note
        cause = _unnoted(*next((rank, code) for rank, code in enumerate(codes) if code))
    if cause is not None:
        note_exit_of_ranks(run, cause)
        raise cause.error(run.path)


def _environment(ranks: int, lifeline: int) -> dict[str, str]:
    """What all ranks have in common."""
    shared = {
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        LIFELINE: str(lifeline),
    }
    cores = available_cores() or 1
    threads = {"OMP_NUM_THREADS": str(max(1, cores // ranks))}  # or each would take all cores
    return threads | dict(os.environ) | shared


def _free_port() -> int:
    """A port below those that the system gives to outgoing connections, one of which might take it before we do."""
    for _ in range(100):
        port = 15000 + secrets.randbelow(15000)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AigcError("no free port between 15000 and 30000 for the ranks to meet at")


def _start(
    run: Run, rank: int, shared: dict[str, str], overrides: Sequence[str], lifeline: int
) -> "subprocess.Popen[bytes]":
    trusted = [f"--trust={package}" for package in named_packages()]
    command = [sys.executable, "-P", "-m", "aigc.launch.worker", *trusted, str(run.path), *overrides]
    environment = shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    output: IO[bytes] | None = None if rank == 0 else log_of(run.path, rank).open("ab")
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


def _attend(notes: RankExits, processes: "list[subprocess.Popen[bytes]]") -> None:
    """Wait until all have ended, or one has failed and the others have had their time."""
    told, over = False, None
    seen: set[int] = set()
    while None in [process.poll() for process in processes]:
        number = stop.asked()
        if number is not None and not told:
            told = True
            _tell(processes, number)
        for rank, process in enumerate(processes):
            if process.returncode and rank not in seen:
                seen.add(rank)
                _note_rank_exit(notes, rank, process.returncode)
                # Who was asked to end may take its time to save: the first rank saves last.
                if rank == 0 or process.returncode not in ASKED:
                    over = over or time.monotonic() + _GRACE
        if over is not None and time.monotonic() > over:
            return
        time.sleep(0.02)


def _note_rank_exit(notes: RankExits, rank: int, code: int) -> None:
    """Note the end of a rank that had no time to do so; the others wait for this to tell the cause."""
    if not any(ending.rank == rank for ending in notes.noted()):
        notes.note(_unnoted(rank, code))


def _unnoted(rank: int, code: int) -> RankExit:
    """Describe the end of a rank that noted nothing, by its exit code."""
    asked = stop.asked()
    if asked is not None and code in (-asked, stop.exit_for(asked).exit_code):  # before or while it listened
        return RankExit(rank, time.time(), stop.exit_for(asked).exit_code, str(stop.ended_by(asked)))
    if code < 0:
        return RankExit(rank, time.time(), 1, f"rank {rank} was killed by {signal.Signals(-code).name}", killed=True)
    return RankExit(rank, time.time(), code, f"rank {rank} ended with exit code {code} and no word")


def _tell(processes: "list[subprocess.Popen[bytes]]", number: int) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)


def _end(processes: "list[subprocess.Popen[bytes]]") -> None:
    for process in processes:
        if process.poll() is None:
            log.warning("process %d did not end with the others and is killed", process.pid)
            process.kill()
        process.wait()
