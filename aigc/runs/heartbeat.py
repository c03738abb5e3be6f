"""The heartbeat of a run: a thread that keeps status.json up to date."""

import threading
from pathlib import Path
from types import TracebackType

from aigc.runs.console import log
from aigc.runs.status import Status, utc_now, write_status


class Heartbeat:
    """Writes `running` into status.json at once and then every few seconds, until the context ends.

    `step` and `activity` may be set from any thread, at no cost; the heartbeat's thread writes them. Nothing is written
    after the context has ended, so that the final status is not overwritten.

    Args:
        folder: The run folder.
        every_seconds: Seconds between writes; well below `aigc.runs.status.SILENT_AFTER`.
        step: The optimiser step at the start.
    """

    def __init__(self, folder: Path | str, every_seconds: float = 10.0, step: int = 0):
        self.step = step
        """The current optimiser step."""
        self.activity = "preparing"
        """What the run does, in one word: preparing, training, validating, saving."""
        self._folder = Path(folder)
        self._every_seconds = every_seconds
        self._since = utc_now()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._warned = False
        self._thread = threading.Thread(target=self._beat, name="aigc-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        """Write the first status and start the thread; raises OSError when the folder is not writable."""
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop writing."""
        self.stop()

    def stop(self, timeout: float = -1) -> None:
        """Stop writing, after a write that is under way; a second call does nothing.

        Args:
            timeout: Seconds to wait at most, for a process that must end at once; -1 waits without limit.
        """
        self._ended.set()
        if self._lock.acquire(timeout=timeout):
            self._lock.release()

    def _beat(self) -> None:
        while not self._ended.wait(self._every_seconds):
            with self._lock:
                if self._ended.is_set():
                    return
                self._try_write()

    def _try_write(self) -> None:
        try:
            self._write()
        except Exception as error:  # training may survive a full disk or an absent network file system
            if not self._warned:
                log.warning("status.json cannot be written, so this run may appear dead: %s", error)
            self._warned = True

    def _write(self) -> None:
        write_status(self._folder, Status.RUNNING, step=self.step, since=self._since, activity=self.activity)
