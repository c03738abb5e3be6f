"""Console and log file: progress and messages go to stderr and log.txt; stdout is reserved for results."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from aigc.errors import InterruptedRun, PreemptedRun

if TYPE_CHECKING:
    from rich.console import Console

log = logging.getLogger("aigc")
_LIGHTNING = ("pytorch_lightning", "lightning.pytorch", "lightning_fabric")


@cache
def stderr() -> "Console":
    """Return the shared console on stderr, which prints messages above a progress bar."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


class _ToConsole(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        stderr().print(self.format(record), markup=False)


class _ToFile(logging.FileHandler):
    """A file handler that drops its own errors, so that a full disk neither hides its error nor floods the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Drop the record."""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


class _NoAdverts(logging.Filter):
    """Drops Lightning's advertisements, and what it says below WARNING: its import sets its level back to INFO."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING and record.name.startswith(_LIGHTNING):
            return False
        message = record.getMessage()
        return not ("Tip:" in message or "litlogger" in message or "💡" in message)


def show_messages(level: int = logging.INFO) -> None:
    """Send the messages of aigc to stderr, and those of other libraries from level WARNING on."""
    log.setLevel(min(level, logging.INFO))
    log.propagate = False
    if not log.handlers:
        handler = _ToConsole(level)
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
    # Lightning calls a deprecated function of torch in every run; users cannot act on that.
    warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
    warnings.filterwarnings("ignore", message="The `srun` command is available on your system but is not used")
    # Batches are slices of prepared data, or already on the device: more workers would not help.
    warnings.filterwarnings("ignore", message="The 'train_dataloader' does not have many workers")
    # A task without validation may train on data that have a validation part.
    warnings.filterwarnings("ignore", message="You passed in a `val_dataloader` but have no `validation_step`")
    for name in _LIGHTNING:
        logging.getLogger(name).setLevel(logging.WARNING)
        for child in ("", ".utilities.rank_zero", ".trainer.connectors.checkpoint_connector"):
            logging.getLogger(name + child).addFilter(_NoAdverts())


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write messages, warnings and the traceback of an exception to a run's log.txt as well.

    Where stderr is that file itself, as for ranks other than the first, they are written once, with a time stamp.
    """
    handler = _ToFile(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_NoAdverts())
    loggers = [log, logging.getLogger("pytorch_lightning"), logging.getLogger("py.warnings")]
    logging.captureWarnings(True)
    before = {logger: logger.handlers[:] for logger in loggers}
    for logger in loggers:
        logger.handlers = [handler] if _is_stderr(path) else [*logger.handlers, handler]
    try:
        yield
    except (InterruptedRun, PreemptedRun) as stopped:
        handler.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, str(stopped), (), None))
        raise
    except BaseException:
        record = log.makeRecord(log.name, logging.ERROR, __file__, 0, "the run ended with an error", (), sys.exc_info())
        handler.handle(record)
        raise
    finally:
        logging.captureWarnings(False)
        for logger in loggers:
            logger.handlers = before[logger]
        handler.close()


def _is_stderr(path: Path) -> bool:
    """Whether stderr is redirected to this file."""
    try:
        return os.path.samestat(os.fstat(2), path.stat())
    except OSError:
        return False
