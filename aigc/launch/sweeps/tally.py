"""The trials that one driver of a sweep runs, and what became of the others."""

import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess

from aigc.launch.sweeps.trial_devices import Lease
from aigc.launch.sweeps.trials import Trial


@dataclass
class Running:
    """A trial that runs."""

    trial: Trial
    process: BaseProcess
    lease: Lease
    since: float = field(default_factory=time.monotonic)


@dataclass
class Tally:
    """Counts of trials by outcome."""

    finished: list[Trial] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    """Why trials failed under this command, by number."""
    failed_elsewhere: dict[int, str] = field(default_factory=dict)
    """Why trials failed under another command, earlier or at the same time."""
    skipped: int = 0
    """Finished before this driver started."""
    pruned: int = 0
    """Stopped early because of poor values."""
    left: int = 0
    """Not run, as this driver was stopped or too many trials failed."""

    @property
    def all_failed(self) -> int:
        """Number of trials that failed, under any command."""
        return len(self.failed) + len(self.failed_elsewhere)
