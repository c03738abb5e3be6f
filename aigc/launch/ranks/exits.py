"""Exit notes of the ranks of a run, from which the first cause of a failure is found."""

import contextlib
import json
import os
import time
import traceback
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aigc.errors import AigcError, DivergedRun, InputError, InterruptedRun, PreemptedRun, RunInUse, exit_code
from aigc.runs.console import log
from aigc.runs.files import write_json

LAUNCH = "AIGC_LAUNCH"
"""Environment variable with the id of a launch; the launcher sets it for its ranks."""
JOB = "AIGC_JOB"
"""Environment variable with the launch id of a cluster's job, for ranks that the cluster has started."""


class KilledRank(AigcError):
    """A rank was killed by a signal that it could not handle."""


_BEGAN = time.time()
"""Approximate start time of this process."""
_SKEW = 10.0
"""Seconds by which other ranks of the same launch may have started earlier."""
_LOST_CONTACT = (
    *("Connection closed by peer", "Connection reset by peer", "Connection refused", "Broken pipe"),  # Gloo, TCPStore
    *("NCCL communicator was aborted", "ncclRemoteError", "remote process exited"),
    *("failed to recv, got 0 bytes", "Timed out waiting", "remote worker"),
)
ASKED = (PreemptedRun.exit_code, InterruptedRun.exit_code)
"""Exit codes of a rank that was asked to stop."""
_EXIT_SECONDS = 3.0
"""Seconds from the exit note of a rank to the end of its process."""
_KINDS = {error.exit_code: error for error in (InputError, DivergedRun, PreemptedRun, InterruptedRun)}


@dataclass(frozen=True)
class RankExit:
    """How one rank ended.

    Args:
        rank: The rank.
        at: Time in seconds since the epoch.
        code: Its exit code, as in `aigc.errors.exit_code`.
        message: One or two lines for the user.
        trace: The traceback; None where the message is enough.
        killed: Whether it was killed by a signal, and left no note.
        in_use: Whether another process works on the run.
    """

    rank: int
    at: float
    code: int
    message: str
    trace: str | None = None
    killed: bool = False
    in_use: bool = False

    def error(self, folder: Path) -> AigcError:
        """Return an error with this exit code and message; it names the log that has the traceback."""
        text = self.message if self.trace is None else f"rank {self.rank}: {self.message}"
        if self.trace is not None:
            text += f"; the traceback is in {log_path(folder, self.rank)}"
        kind = RunInUse if self.in_use else KilledRank if self.killed else _KINDS.get(self.code, AigcError)
        error = kind(text)
        if self.code == 4:
            error.__cause__ = MemoryError()  # the exit code is derived from it
        return error


def exit_of(rank: int, error: BaseException) -> RankExit:
    """Return the exit note of a rank for this exception."""
    expected = isinstance(error, AigcError)
    trace = None if expected else "".join(traceback.format_exception(error))
    message = str(error) if expected else f"{type(error).__name__}: {error}"
    return RankExit(rank, time.time(), exit_code(error), message, trace, in_use=isinstance(error, RunInUse))


class RankExits:
    """The exit notes of the ranks of one launch, in hidden files of the run folder.

    Args:
        folder: The run folder.
        launch: Id of the launch; None takes that of this process.
    """

    def __init__(self, folder: Path, launch: str | None = None) -> None:
        self.folder = folder
        self.launch = launch or os.environ.get(LAUNCH) or os.environ.get(JOB, "0")

    def note(self, ending: RankExit) -> None:
        """Write a note; a failed write must not hide the error itself."""
        try:
            write_json(self.folder / f".rank{ending.rank}.{self.launch}.json", asdict(ending))
        except OSError as error:
            log.error("the exit of rank %d could not be recorded: %s", ending.rank, error)

    def noted(self) -> list[RankExit]:
        """Return all notes, the earliest first."""
        found = []
        for path in self.folder.glob(f".rank*.{self.launch}.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append(RankExit(**json.loads(path.read_text(encoding="utf-8"))))
        return sorted(found, key=lambda ending: ending.at)

    def wait_for(self, ranks: Collection[int], patience: float = 8.0) -> bool:
        """Wait for the notes of these ranks for a few seconds; return whether all are there."""
        deadline = time.monotonic() + patience
        while not (found := set(ranks) <= {ending.rank for ending in self.noted()}) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def leave(self, rank: int, world_size: int, code: int) -> int:
        """Wait until a rank that a cluster has started may exit, and return its exit code.

        A cluster kills all ranks once one exits with a non-zero code. So the first rank exits last, with the code of
        the run, and the others exit with 0, unless the first left no note: then it was killed, and the batch script
        records the notes of the others.

        Args:
            rank: The rank that exits; it has left its note.
            world_size: Number of ranks.
            code: Exit code of its error.
        """
        if rank == 0:
            self.wait_for(range(1, world_size), 10.0)
            time.sleep(_EXIT_SECONDS)
            return code
        if code in ASKED:
            return 0  # the first rank may still save
        return 0 if self.wait_for([0], 23.0) else code

    def cause(self) -> RankExit | None:
        """Return the failure that caused the others: the earliest one that is not a lost connection."""
        failed = [ending for ending in self.noted() if ending.code]
        return next((ending for ending in failed if not is_lost_contact(ending.message)), next(iter(failed), None))

    def cause_of(self, mine: RankExit, patience: float = 3.0) -> RankExit:
        """Return the exit of another rank that caused this one's, or `mine`.

        When a rank dies, the others fail in their next collective, possibly before its exit is noted.

        Args:
            mine: The exit of this rank.
            patience: Seconds to wait for the note of another rank.
        """
        deadline = time.monotonic() + patience
        while is_lost_contact(mine.message):
            found = self.cause()
            if found is not None and not is_lost_contact(found.message):
                return found
            if time.monotonic() > deadline:
                return replace(mine, message=f"another rank ended without a message ({mine.message})")
            time.sleep(0.05)
        return mine

    def clear(self, everything: bool = False) -> None:
        """Remove the notes of earlier launches, or all notes.

        Launches by hand have no id: their notes are those from before the start of this process.
        """
        for path in self.folder.glob(".rank*.json"):
            if everything or not path.name.endswith(f".{self.launch}.json"):
                path.unlink(missing_ok=True)
        for ending in self.noted() if LAUNCH not in os.environ else ():
            if ending.at < _BEGAN - _SKEW:
                (self.folder / f".rank{ending.rank}.{self.launch}.json").unlink(missing_ok=True)


def is_lost_contact(message: str) -> bool:
    """Whether an error message only says that the connection to another rank is lost."""
    return any(sign in message for sign in _LOST_CONTACT)


def log_path(folder: Path, rank: int) -> Path:
    """Return the log file of a rank."""
    return folder / (f"log.rank{rank}.txt" if rank else "log.txt")
