"""Progress of the steps before training: a bar on a terminal, one line in a log."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from aigc.runs import stop
from aigc.runs.console import stderr

_log = logging.getLogger("aigc")


@cache
def log_once(message: str, level: int = logging.INFO) -> None:
    """Log a line once in a process: a run may open its data twice, to check them and to train on them."""
    _log.log(level, message)


@contextmanager
def step(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a step on stderr while it runs; a request to stop is obeyed at its start, its end, and after each unit.

    Args:
        what: What is done, for example "tokenising 3,395 documents".
        total: How many units of work there are, when that is known.

    Yields:
        A function that takes the number of units done since it was last called.

    Raises:
        InterruptedRun: The user asked to stop.
        PreemptedRun: The machine asked to stop.
    """
    stop.check()
    if not sys.stderr.isatty():
        _log.info(what)
        yield lambda done: stop.check()
        stop.check()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr()) as bar:
        task = bar.add_task(what, total=total)

        def advance(done: int) -> None:
            bar.advance(task, done)
            stop.check()

        yield advance
        if total is not None:
            bar.update(task, completed=total)  # those who advance in large units leave a rest
    stop.check()
