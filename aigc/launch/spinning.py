"""How long OpenMP's threads spin before they sleep, so that another program on the machine does not stop a training."""

import os

OWN_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""The variables with which a person decides this."""
SPINS = 10_000
"""Spins of a thread that waits for others; the default of libgomp, 300,000, keeps a core from what it waits for."""


def bound_spinning() -> None:
    """Bound the spins of this process and of those that it starts; call it before torch is imported.

    Numbers do not depend on it. `make bench-contention` measures it.
    """
    if not any(name in os.environ for name in OWN_SETTINGS):
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)
