"""Data workers under signals that a terminal or a cluster manager sends to every process of a job."""

import signal


def leave_signals_alone(worker_id: int) -> None:
    """Ignore requests to stop in a data worker; the training process decides, and its workers end when it does.

    Without this a worker dies of SIGTERM, and training fails with "DataLoader worker is killed" instead of stopping at
    a step. For `DataLoader(worker_init_fn=leave_signals_alone)`.

    Args:
        worker_id: The worker's number in its loader.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
