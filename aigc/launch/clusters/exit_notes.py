"""`python -m aigc.launch.clusters.exit_notes RUN_FOLDER EXIT_CODE`, which a batch script calls when ranks have failed.

A rank that was killed left no note, and the first rank may have been killed because another one failed. This writes
what is known of their exits into the run folder, once all of them are gone.
"""

import sys
import time
from pathlib import Path

from aigc.runs import Run
from aigc.runs.status import Status, read_status


def main() -> None:
    """Write how the run ended, unless its own process did."""
    run, code = Run(Path(sys.argv[1])), int(sys.argv[2])
    if read_status(run.path).status not in (Status.PENDING, Status.KILLED):
        return
    from aigc.launch.clusters.kinds import adopt_launch
    from aigc.launch.ranks.exits import RankExit, RankExits, is_lost_contact
    from aigc.launch.worker import note_exit_of_ranks

    adopt_launch()
    how = f"was killed by signal {code - 128}" if code > 128 else f"ended with exit code {code} and no message"
    cause = RankExits(run.path).cause()
    if cause is None or is_lost_contact(cause.message):  # the others lost contact, the one that died left no note
        cause = RankExit(0, time.time(), min(code, 1) if code > 128 else code, f"the run {how}", killed=code > 128)
    note_exit_of_ranks(run, cause)


if __name__ == "__main__":
    main()
