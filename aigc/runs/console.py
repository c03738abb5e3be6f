"""The terminal and the log: stderr carries progress and messages, log.txt keeps them, stdout is left for results."""

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


@cache
def stderr() -> "Console":
    """The one console on stderr, shared so that messages appear above a progress bar and not inside it."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


class _ToConsole(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        stderr().print(self.format(record), markup=False)


class _ToFile(logging.FileHandler):
    """A full disk must neither hide the error that it caused nor fill the terminal with tracebacks of logging."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Leave it out."""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


class _NoAdverts(logging.Filter):
    """Lightning advertises other products in every run's log."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not ("Tip:" in message or "litlogger" in message or "💡" in message)


def show_messages(level: int = logging.INFO) -> None:
    """Send aigc's messages to stderr; other libraries' only from warnings on."""
    log.setLevel(min(level, logging.INFO))
    log.propagate = False
    if not log.handlers:
        handler = _ToConsole(level)
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
    # torch deprecates what Lightning calls in every run; nobody who reads a run's log can act on it.
    warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
    warnings.filterwarnings("ignore", message="The `srun` command is available on your system but is not used")
    # Batches are cut from prepared data, or lie on the device already: workers would have little to do.
    warnings.filterwarnings("ignore", message="The 'train_dataloader' does not have many workers")
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
        for child in ("", ".utilities.rank_zero"):
            logging.getLogger(name + child).addFilter(_NoAdverts())


@contextmanager
def kept_in(path: Path) -> Iterator[None]:
    """Also write messages and warnings, and the traceback of an exception that passes, to a run's log.txt.

    Where stderr is that file itself, as for a rank that has no screen, they are written there once, with the time.
    """
    handler = _ToFile(path, encoding="utf-8")
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
    """Whether what goes to stderr is written to this file."""
    try:
        return os.path.samestat(os.fstat(2), path.stat())
    except OSError:
        return False
