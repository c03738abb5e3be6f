"""How far the planning of a large sweep is: each trial is composed and checked before the first one starts."""

import math
import time
from collections.abc import Sequence

from aigc.launch.sweeps.search_space import Axis
from aigc.runs import stop
from aigc.runs.console import log

_MANY, _SECONDS_PER_TRIAL, _SECONDS_BETWEEN_LINES = 1000, 0.022, 10.0


class PlanningProgress:
    """Logs at once that a grid has many trials, then how many of them are checked.

    Args:
        axes: The keys with several values.
        kind: The kind of the sweep; the size of a grid alone is known.
    """

    def __init__(self, axes: Sequence[Axis], kind: str) -> None:
        self.total = math.prod(len(axis.values) for axis in axes) if axes and kind == "grid" else 0
        self._logged_at = time.monotonic()
        if self.total > _MANY:
            minutes = math.ceil(self.total * _SECONDS_PER_TRIAL / 60)
            log.info(
                "%s trials: checking all of them takes about %d min; sweep=random sweep.trials=N draws some of them",
                *(f"{self.total:,}", minutes),
            )

    def log(self, done: int) -> None:
        """Log every few seconds.

        Raises:
            InterruptedRun: A person asked to stop; no trial has started.
        """
        stop.check(" while the trials were checked")
        if time.monotonic() - self._logged_at > _SECONDS_BETWEEN_LINES:
            self._logged_at = time.monotonic()
            log.info("checked %s%s trials", f"{done:,}", f" of {self.total:,}" if self.total else "")
