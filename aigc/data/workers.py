"""Data workers under signals that a terminal or a cluster manager sends to every process of a job."""

import atexit
import multiprocessing.util  # registers its own end first, so that ours comes before it
import signal


def leave_signals_alone(worker_id: int) -> None:
    """Ignore requests to stop in a data worker; the training process decides, and its workers end with it.

    Without this a worker dies of SIGTERM, and training fails with "DataLoader worker is killed" instead of stopping at
    a step. For `DataLoader(worker_init_fn=leave_signals_alone)`.

    Args:
        worker_id: The worker's number in its loader.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def _end_workers() -> None:
    """Kill the workers that are left at exit: they ignore the SIGTERM of multiprocessing, which would wait forever."""
    children = [child for child in multiprocessing.active_children() if child.daemon]
    if children:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch would report their death as an error
    for child in children:
        child.kill()


atexit.register(_end_workers)
