"""How each rank of a run ended: notes beside the log, so that the first cause is told and not its consequences."""

import contextlib
import json
import os
import time
import traceback
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aigc.errors import AigcError, DivergedRun, InputError, InterruptedRun, PreemptedRun, RunInWork, exit_code
from aigc.runs.console import log
from aigc.runs.files import write_json

LAUNCH = "AIGC_LAUNCH"
"""Environment variable that tells the ranks of one launch from those of another; a launcher sets it."""
JOB = "AIGC_JOB"
"""Environment variable with the launch of a cluster's job, for ranks that no launcher of ours has started."""


class KilledRank(AigcError):
    """A rank was killed by a signal that it could not hear."""


_BEGAN = time.time()
"""When this process did, but for some imports."""
_SKEW = 10.0
"""Seconds by which other ranks of the same launch may be earlier, and may have ended already."""
_LOST_CONTACT = (
    *("Connection closed by peer", "Connection reset by peer", "Connection refused", "Broken pipe"),  # Gloo, TCPStore
    *("NCCL communicator was aborted", "ncclRemoteError", "remote process exited"),
    *("failed to recv, got 0 bytes", "Timed out waiting", "remote worker"),
)
ASKED = (PreemptedRun.exit_code, InterruptedRun.exit_code)
"""Exit codes of a rank that was asked to end."""
_LAST_STEPS = 3.0
"""Seconds from the note of a rank to the end of its process."""
_KINDS = {error.exit_code: error for error in (InputError, DivergedRun, PreemptedRun, InterruptedRun)}


@dataclass(frozen=True)
class RankExit:
    """How one rank ended.

    Args:
        rank: Which.
        at: When, in seconds since 1970.
        code: Its exit code, as of `aigc.errors.exit_code`.
        message: For a person, in one or two lines.
        trace: The traceback; None where the message says all.
        killed: Whether it was killed by a signal, and could note nothing.
        in_work: Whether another process works on the run.
    """

    rank: int
    at: float
    code: int
    message: str
    trace: str | None = None
    killed: bool = False
    in_work: bool = False

    def error(self, folder: Path) -> AigcError:
        """An error with this exit code and message, which names the log with the traceback where there is one."""
        said = self.message if self.trace is None else f"rank {self.rank}: {self.message}"
        if self.trace is not None:
            said += f"; the traceback is in {log_of(folder, self.rank)}"
        kind = RunInWork if self.in_work else KilledRank if self.killed else _KINDS.get(self.code, AigcError)
        error = kind(said)
        if self.code == 4:
            error.__cause__ = MemoryError()  # the exit code is read from it
        return error


def exit_of(rank: int, error: BaseException) -> RankExit:
    """How a rank ends with this exception."""
    expected = isinstance(error, AigcError)
    trace = None if expected else "".join(traceback.format_exception(error))
    message = str(error) if expected else f"{type(error).__name__}: {error}"
    return RankExit(rank, time.time(), exit_code(error), message, trace, in_work=isinstance(error, RunInWork))


class RankExits:
    """What the ranks of one launch have noted of their ends, in hidden files of the run folder.

    Args:
        folder: The run folder.
        launch: Tells this launch from others; None is that of this process.
    """

    def __init__(self, folder: Path, launch: str | None = None) -> None:
        self.folder = folder
        self.launch = launch or os.environ.get(LAUNCH) or os.environ.get(JOB, "0")

    def note(self, ending: RankExit) -> None:
        """Write one down; a disk that refuses must not hide the error itself."""
        try:
            write_json(self.folder / f".rank{ending.rank}.{self.launch}.json", asdict(ending))
        except OSError as error:
            log.error("the end of rank %d could not be written down: %s", ending.rank, error)

    def noted(self) -> list[RankExit]:
        """All that are there, the earliest first."""
        found = []
        for path in self.folder.glob(f".rank*.{self.launch}.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append(RankExit(**json.loads(path.read_text(encoding="utf-8"))))
        return sorted(found, key=lambda ending: ending.at)

    def wait_for(self, ranks: Collection[int], patience: float = 8.0) -> bool:
        """Wait until these ranks have noted their ends, some seconds at most; return whether they have."""
        over = time.monotonic() + patience
        while not (there := set(ranks) <= {ending.rank for ending in self.noted()}) and time.monotonic() < over:
            time.sleep(0.05)
        return there

    def leave(self, rank: int, world_size: int, code: int) -> int:
        """Wait until a rank that a cluster has started may end, and return its exit code.

        A cluster kills all ranks once one ends with a code. So the first ends last, with the code of the run, and the
        others with none, unless the first noted nothing: then it was killed, and the batch script writes down what they
        noted.

        Args:
            rank: Which has noted its end.
            world_size: How many ranks there are.
            code: That of its error.
        """
        if rank == 0:
            self.wait_for(range(1, world_size), 10.0)
            time.sleep(_LAST_STEPS)
            return code
        if code in ASKED:
            return 0  # the first may still save
        return 0 if self.wait_for([0], 23.0) else code

    def cause(self) -> RankExit | None:
        """The end that led to the others: the earliest failure that is more than a lost contact."""
        failed = [ending for ending in self.noted() if ending.code]
        return next((ending for ending in failed if not is_lost_contact(ending.message)), next(iter(failed), None))

    def cause_of(self, mine: RankExit, patience: float = 3.0) -> RankExit:
        """The end of another rank that this one's is a consequence of, or `mine`.

        When a rank dies, the others fail in whatever they do together next, and may do so before its end is noted.

        Args:
            mine: How this rank ends.
            patience: Seconds to wait for another's end to be noted.
        """
        over = time.monotonic() + patience
        while is_lost_contact(mine.message):
            found = self.cause()
            if found is not None and not is_lost_contact(found.message):
                return found
            if time.monotonic() > over:
                return replace(mine, message=f"another rank ended without a word ({mine.message})")
            time.sleep(0.05)
        return mine

    def forget(self, all_of_them: bool = False) -> None:
        """Remove the notes of earlier launches, or all.

        Launches by hand look alike: theirs are those from before this process.
        """
        for path in self.folder.glob(".rank*.json"):
            if all_of_them or not path.name.endswith(f".{self.launch}.json"):
                path.unlink(missing_ok=True)
        for ending in self.noted() if LAUNCH not in os.environ else ():
            if ending.at < _BEGAN - _SKEW:
                (self.folder / f".rank{ending.rank}.{self.launch}.json").unlink(missing_ok=True)


def is_lost_contact(told: str) -> bool:
    """Whether an error says no more than that some other rank is gone."""
    return any(sign in told for sign in _LOST_CONTACT)


def log_of(folder: Path, rank: int) -> Path:
    """The log of a rank."""
    return folder / (f"log.rank{rank}.txt" if rank else "log.txt")
