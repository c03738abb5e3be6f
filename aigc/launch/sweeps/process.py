"""Run one trial in its own process, forked from one that has imported everything."""

import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from aigc.config.trust import trust
from aigc.errors import AigcError, InputError, RunExists, RunInUse, exit_code
from aigc.launch.prepared_run import PreparedRun
from aigc.printing import escape_unprintable
from aigc.runs import Run, stop
from aigc.runs.console import show_messages
from aigc.runs.manifest import SubmittedJob
from aigc.runs.status import Status

IN_USE = 76
"""Exit code: another process runs this trial."""
REFUSED = 77
"""Exit code: there is no run, as its data or its config are wrong; the log has the reason."""


@dataclass(frozen=True)
class TrialProcess:
    """Arguments of a trial's process.

    Args:
        cfg: The trial's config, with `run.id`.
        overrides: What was typed, for the run folder.
        command: The command line, for the run folder.
        notes: More fields of the manifest, by name.
        log: File for its output; its messages are in the run's log.txt as well.
        threads: Threads of torch.
        trusted: Packages named with `--trust`.
        environment: Environment variables, such as CUDA_VISIBLE_DEVICES.
        queued: The cluster's job that this process belongs to, for the manifest.
    """

    cfg: DictConfig
    overrides: list[str]
    command: list[str]
    notes: dict[str, Any]
    log: Path
    threads: int
    trusted: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    queued: SubmittedJob | None = None


def warm_up() -> None:
    """Start the process that trials are forked from, which imports everything while the sweep is planned."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(["aigc.launch.sweeps.preloaded"])
    multiprocessing.forkserver.ensure_running()


def work_on(job: TrialProcess) -> None:
    """Start or resume the trial's run, and exit the process with its exit code."""
    os.setsid()  # a terminal's Ctrl-C goes to the driver, which forwards it to the trials
    _redirect_output(job.log)
    escape_unprintable()
    os.environ.update(job.environment)
    trust(list(job.trusted))
    import torch

    torch.set_num_threads(job.threads)
    show_messages()  # into the file that stderr is now; without Lightning's tips
    code = 0
    with stop.listening():
        _end_with_driver()
        try:
            _train(job)
        except (Exception, KeyboardInterrupt) as error:
            print(error if isinstance(error, AigcError) else f"{type(error).__name__}: {error}", file=sys.stderr)
            code = error.code if isinstance(error, _Ended) else exit_code(error)
    sys.stderr.flush()
    os._exit(code)  # skips the cleanup handlers of the parent process


class _Ended(AigcError):
    """The trial ends without having run."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def _train(job: TrialProcess) -> None:
    from aigc.launch.run_local import run_local
    from aigc.launch.start import runs_root, start

    folder = runs_root(job.cfg) / str(job.cfg.run.id)
    if folder.exists():
        prepared = PreparedRun(Run(folder))
    else:
        try:
            prepared = start(job.cfg, job.overrides, job.command, **job.notes)
        except RunExists as error:  # another driver is just making it
            raise _Ended(str(error), IN_USE) from error
        except InputError as error:
            raise _Ended(str(error), REFUSED) from error
    run = prepared.run
    try:
        _note_queued(run, job.queued)
        run_local(prepared)
    except RunInUse as error:
        raise _Ended(str(error), IN_USE) from error
    except InputError as error:
        if run.status is not Status.PENDING:
            raise
        raise _Ended(str(error), REFUSED) from error  # before its first attempt


def _note_queued(run: Run, queued: SubmittedJob | None) -> None:
    """Record the job in the run's manifest, once even when it was requeued."""
    if queued is None:
        return
    with run.working(), run.edit_manifest() as manifest:
        manifest.note_job(queued)


def _redirect_output(path: Path) -> None:
    """Redirect stdout and stderr to a file."""
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):
        os.dup2(target, descriptor)
    os.close(target)
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _end_with_driver() -> None:
    """Stop, with a save, when the driver is gone for any reason."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        stop.ask_to_end("the sweep's driver is gone")

    threading.Thread(target=watch, name="aigc-driver", daemon=True).start()
