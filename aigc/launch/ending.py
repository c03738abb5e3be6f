"""How each rank of a run ended: notes beside the log, so that the first cause is told and not its consequences."""

import json
import os
import time
import traceback
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aigc.errors import AigcError, DivergedRun, InputError, InterruptedRun, PreemptedRun, exit_code
from aigc.runs.console import log
from aigc.runs.files import write_json

LAUNCH = "AIGC_LAUNCH"
"""Environment variable that tells the ranks of one launch from those of another; a launcher sets it."""


class KilledRank(AigcError):
    """A rank was killed by a signal that it could not hear."""


_LOST_CONTACT = (
    *("Connection closed by peer", "Connection reset by peer", "Connection refused", "Broken pipe"),  # Gloo, TCPStore
    *("NCCL communicator was aborted", "ncclRemoteError", "remote process exited"),
    *("failed to recv, got 0 bytes", "Timed out waiting"),
)
_KINDS = {error.exit_code: error for error in (InputError, DivergedRun, PreemptedRun, InterruptedRun)}


@dataclass(frozen=True)
class Ending:
    """How one rank ended.

    Args:
        rank: Which.
        at: When, in seconds since 1970.
        code: Its exit code, as of `aigc.errors.exit_code`.
        message: For a person, in one or two lines.
        trace: The traceback; None where the message says all.
        killed: Whether it was killed by a signal, and had no word.
    """

    rank: int
    at: float
    code: int
    message: str
    trace: str | None = None
    killed: bool = False

    def error(self) -> AigcError:
        """An error with this exit code and message."""
        error = KilledRank(self.message) if self.killed else _KINDS.get(self.code, AigcError)(self.message)
        if self.code == 4:
            error.__cause__ = MemoryError()  # the exit code is read from it
        return error


def ending_of(rank: int, error: BaseException) -> Ending:
    """How a rank ends with this exception."""
    expected = isinstance(error, AigcError)
    trace = None if expected else "".join(traceback.format_exception(error))
    message = str(error) if expected else f"{type(error).__name__}: {error}"
    return Ending(rank, time.time(), exit_code(error), message, trace)


def note_ending(folder: Path, ending: Ending) -> None:
    """Write it down for the other ranks and the launcher; a disk that refuses must not hide the error itself."""
    try:
        write_json(_file(folder, ending.rank), asdict(ending))
    except OSError as error:
        log.error("the end of rank %d could not be written down: %s", ending.rank, error)


def endings(folder: Path) -> list[Ending]:
    """What the ranks of this launch have noted, the earliest first."""
    found = []
    for path in folder.glob(f".rank*.{_launch()}.json"):
        try:
            found.append(Ending(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            continue
    return sorted(found, key=lambda ending: ending.at)


def first_cause(folder: Path, mine: Ending, patience: float = 3.0) -> Ending:
    """The end of another rank that this one's is a consequence of, or `mine`.

    When a rank dies, the others fail in whatever they do together next, and may do so before its end is noted.

    Args:
        folder: The run folder.
        mine: How this rank ends.
        patience: Seconds to wait for another's end to be noted.
    """
    over = time.monotonic() + patience
    while is_lost_contact(mine.message):
        causes = [ending for ending in endings(folder) if ending.code and not is_lost_contact(ending.message)]
        if causes:
            return causes[0]
        if time.monotonic() > over:
            return replace(mine, message=f"another rank ended without a word ({mine.message})")
        time.sleep(0.05)
    return mine


def is_lost_contact(told: str) -> bool:
    """Whether an error says no more than that some other rank is gone."""
    return any(sign in told for sign in _LOST_CONTACT)


def forget_endings(folder: Path) -> None:
    """Remove the notes of earlier launches."""
    for path in folder.glob(".rank*.json"):
        if not path.name.endswith(f".{_launch()}.json"):
            path.unlink(missing_ok=True)


def log_of(folder: Path, rank: int) -> Path:
    """The log of a rank other than the first."""
    return folder / f"log.rank{rank}.txt"


def _file(folder: Path, rank: int) -> Path:
    return folder / f".rank{rank}.{_launch()}.json"


def _launch() -> str:
    job = os.environ.get("SLURM_JOB_ID", "0")
    return os.environ.get(LAUNCH) or f"{job}-{os.environ.get('SLURM_RESTART_COUNT', '0')}"
