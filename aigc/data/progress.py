"""Progress of the steps before training: a bar for a person who watches, one line for a log."""

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
    """Log a line: a run opens its data once to see what they are, and once to train on them."""
    _log.log(level, message)


@contextmanager
def step(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a step on stderr while it runs, and stop when asked: at its begin, its end, and at each unit between.

    Args:
        what: What is done, for example "tokenising 3,395 documents".
        total: How many units of work there are, when that is known.

    Yields:
        A function that takes the number of units done since it was last called.

    Raises:
        InterruptedRun: A person asked to stop.
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
