"""The sign of life of a running run: a thread that keeps status.json true while everything else is busy."""

import threading
from pathlib import Path
from types import TracebackType

from aigc.runs.console import log
from aigc.runs.status import Status, utc_now, write_status


class Heartbeat:
    """Writes `running` into status.json at once and then every few seconds, until the context ends.

    `step` and `activity` are set by whoever knows them, from any thread and at no cost; the thread writes them down.
    After the context has ended nothing more is written, so whoever writes the final status has the last word.

    Args:
        folder: The run folder.
        every_seconds: Seconds between writes; well below `aigc.runs.status.SILENT_AFTER`.
        step: The optimiser step at the start.
    """

    def __init__(self, folder: Path | str, every_seconds: float = 10.0, step: int = 0):
        self.step = step
        """The optimiser step reached."""
        self.activity = "preparing"
        """What the run is doing, in a word: preparing, training, validating, saving."""
        self._folder = Path(folder)
        self._every_seconds = every_seconds
        self._since = utc_now()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._warned = False
        self._thread = threading.Thread(target=self._beat, name="aigc-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        """Write the first status and start the thread; OSError when the folder cannot be written."""
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write nothing from now on."""
        self.stop()

    def stop(self, timeout: float = -1) -> None:
        """Write nothing from now on; waits for a write that is under way, and a second call does nothing.

        Args:
            timeout: Seconds to wait at most; for a process that ends at once, whatever its disk does. -1 is for ever.
        """
        self._over.set()
        if self._lock.acquire(timeout=timeout):
            self._lock.release()

    def _beat(self) -> None:
        while not self._over.wait(self._every_seconds):
            with self._lock:
                if self._over.is_set():
                    return
                self._try_write()

    def _try_write(self) -> None:
        try:
            self._write()
        except Exception as error:  # a full disk, a network file system that is away: training may survive both
            if not self._warned:
                log.warning("status.json cannot be written, so this run may look dead: %s", error)
            self._warned = True

    def _write(self) -> None:
        write_status(self._folder, Status.RUNNING, step=self.step, since=self._since, activity=self.activity)
