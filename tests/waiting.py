"""Waits that do not depend on how fast a machine is: a test fails when something never comes, not when it is late."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 900.0
"""Seconds after which something counts as lost; many times what the slowest machine under load needs."""
_USUAL = 0.25
"""Seconds that `_START` takes on a machine with nothing else to do."""
_START = "import asyncio, email.message, http.client, sqlite3, unittest.mock, xml.dom.minidom"


def wait_until(true: Callable[[], Any], otherwise: Callable[[], str] = lambda: "", pause: float = 0.002) -> Any:
    """Wait for something to be true, and return it."""
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end, f"not within {PATIENCE:g} s. {otherwise()}"
        time.sleep(pause)
    return found


@contextmanager
def takes_at_most(seconds: float) -> Iterator[None]:
    """Assert that a block is quick, by the speed of this machine at this moment where it is not."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds or took < seconds * slowness(), f"it took {took:.1f} s"


def slowness() -> float:
    """How many times longer than usual Python takes to start and import a little; at least 1."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", _START], check=True)
    return max(1.0, (time.monotonic() - began) / _USUAL)
