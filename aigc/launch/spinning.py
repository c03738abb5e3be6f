"""How long OpenMP's threads spin before they sleep, so that another program on the machine does not stop a training."""

import os
from pathlib import Path

from aigc.runs.environment import available_cores

OWN_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""The variables with which a person decides this."""
SPINS = 20_000
"""Spins of a thread that waits for others; the default of libgomp, 300,000, keeps a core from what it waits for."""
SPINS_WHEN_BUSY = 0
"""The same where other processes want the cores: on a quiet machine, waking a thread each time costs speed."""


def bound_spinning() -> None:
    """Bound the spins of this process and of those that it starts; call it before torch is imported.

    Numbers do not depend on it. `make bench-contention` measures it.
    """
    if not any(name in os.environ for name in OWN_SETTINGS):
        os.environ["GOMP_SPINCOUNT"] = str(SPINS_WHEN_BUSY if is_busy() else SPINS)


def is_busy(loadavg: Path = Path("/proc/loadavg")) -> bool:
    """Return whether others have kept at least half of this process's cores busy for the last minute, and do so now.

    Args:
        loadavg: The file in which Linux says so; without it, the machine counts as quiet.
    """
    try:
        minute, _, _, running = loadavg.read_text(encoding="ascii").split()[:4]
        others = int(running.partition("/")[0]) - 1
        return min(float(minute), others) >= (available_cores() or 1) / 2
    except (OSError, ValueError):
        return False
