"""Train the frozen config of a run folder, and save the model and the scores in it.

A launcher starts `python -m aigc.launch.worker RUN_FOLDER` for each rank; one device needs no launcher. A run that has
a checkpoint is resumed, so a cluster only has to repeat the command.
"""

import argparse
import contextlib
import errno
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from aigc.config.trust import trust
from aigc.errors import AigcError, InputError, exit_code, is_out_of_memory
from aigc.launch.attempt import attempt_config
from aigc.launch.clusters.kinds import adopt_ranks
from aigc.launch.devices import settle_devices
from aigc.launch.length import is_longer
from aigc.launch.prepared_run import PreparedRun
from aigc.launch.ranks.exits import KilledRank, RankExit, RankExits, exit_of, log_path
from aigc.launch.ranks.group import Agreement, Ranks, check_ranks, joined, read_ranks
from aigc.launch.ranks.lifeline import LIFELINE, hold_lifeline, save_first
from aigc.launch.spinning import bound_spinning
from aigc.printing import escape_unprintable
from aigc.runs import Run, stop
from aigc.runs.console import log, log_to, show_messages
from aigc.runs.files import remove_half_written
from aigc.runs.heartbeat import Heartbeat
from aigc.runs.status import Status, StatusRecord, read_status, write_status

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_STATUS = {3: Status.DIVERGED, 4: Status.OUT_OF_MEMORY, 75: Status.PREEMPTED, 130: Status.INTERRUPTED}


def work(prepared: PreparedRun, overrides: Sequence[str] = ()) -> None:
    """Train a run to its end, from its newest checkpoint or from the start.

    Args:
        prepared: The run, with its config and data where this process has them.
        overrides: Checked overrides of its config for this attempt and later ones.

    Raises:
        AigcError: The run was stopped or failed; status.json and the manifest record it, as for any other exception.
    """
    _train_first_rank(prepared, overrides, Agreement(Ranks()))


def work_as_rank(run: Run, ranks: Ranks, overrides: Sequence[str] = ()) -> None:
    """Train a run as one of several ranks; the first one keeps the run folder, as in `work`.

    Raises:
        AigcError: As `work`; where another rank failed first, its error.
    """
    if ranks.first:
        RankExits(run.path).clear()
    with joined(ranks, run.config) as agreement:
        save_first()
        if ranks.first:
            _train_first_rank(PreparedRun(run), overrides, agreement)
        else:
            with log_to(log_path(run.path, ranks.rank)):
                _train_other_rank(run, agreement)


def _train_other_rank(run: Run, agreement: Agreement) -> None:
    """Train as a rank other than the first."""
    from aigc.launch.train import Training

    cfg = OmegaConf.create(agreement.on("config", str))
    assert isinstance(cfg, DictConfig)
    if cfg:  # empty where the run is finished
        Training(run, cfg, Heartbeat(run.path), agreement).train(_last_step(run))


def _last_step(run: Run) -> int | None:
    """Return the last step of a reproduction of the first steps."""
    return run.record.until_step


def _train_first_rank(prepared: PreparedRun, overrides: Sequence[str], agreement: Agreement) -> None:
    """Train as the only rank or the first of several, which keeps the run folder."""
    from aigc.launch.train import Training

    run = prepared.run
    with run.working(), log_to(run.log):
        before = read_status(run.path)
        was_finished = before.status is Status.FINISHED
        if was_finished and not is_longer(run, attempt_config(run), attempt_config(run, overrides)):
            agreement.on("config", str)
            return  # another process was faster
        remove_half_written(run.path)
        beat = Heartbeat(run.path, step=before.step or 0)
        with run.edit_manifest() as manifest:
            manifest.close_dead_attempts(run.path)
            manifest.begin_attempt(beat.step, overrides)
        code, message = 0, None
        shown: BaseException | None = None
        try:
            with _stoppable(run, beat), beat:
                cfg = prepared.cfg or attempt_config(run, log_earlier=True)
                settle_devices(cfg)
                agreement.on("config", lambda: OmegaConf.to_yaml(cfg))
                Training(run, cfg, beat, agreement, prepared.data, was_finished).train(_last_step(run))
        except BaseException as error:
            shown = _user_error(run, error, beat.step, agreement.ranks)
            code, message = exit_code(shown), " ".join(str(shown).split()) or type(shown).__name__
            if shown is not error:
                raise shown from (shown.__cause__ or error)
            raise
        finally:
            status = _STATUS.get(code, Status.FAILED) if code else Status.FINISHED
            status = Status.KILLED if isinstance(shown, KilledRank) else status
            if code == InputError.exit_code and len(run.record.attempts) > 1 and beat.step <= (before.step or 0):
                _revert_attempt(run, before)
            else:
                _note_exit(run, status, code, beat.step, message)


@contextlib.contextmanager
def _stoppable(run: Run, beat: Heartbeat) -> Iterator[None]:
    """Handle signals; a second one writes the status and ends the process at once."""

    def at_once(number: int) -> None:
        beat.stop(timeout=1)
        status = _STATUS[stop.exit_for(number).exit_code]
        write_status(run.path, status, step=beat.step, message="ended at once by a second signal")

    with stop.listening(at_once):
        yield


def _user_error(run: Run, error: BaseException, step: int, ranks: Ranks) -> BaseException:
    """Return the error to report to the user."""
    if ranks.world_size > 1 and not isinstance(error, AigcError):
        mine = exit_of(ranks.rank, error)
        cause = RankExits(run.path).cause_of(mine)
        if cause != mine:
            _log_cause(run, cause)
            return cause.error(run.path)
    number = stop.asked()
    # A signal to the whole job may first appear as a dead data worker, or in one of Lightning's handlers.
    if number is not None and ("DataLoader worker" in str(error) or isinstance(error, KeyboardInterrupt)):
        return stop.ended_by(number)
    if is_out_of_memory(error):
        from aigc.launch.memory import advice

        reason = str(error).partition(". ")[0]
        out_of_memory = AigcError(f"out of memory after step {step}: {reason}\n{advice(attempt_config(run), error)}")
        out_of_memory.__cause__ = error  # the exit code is derived from it
        return out_of_memory
    if isinstance(error, OSError) and error.errno in _DISK:
        what = f"{error.filename}: " if error.filename else ""
        return AigcError(
            f"{what}{error.strerror}. Earlier checkpoints are intact; free some space, then `aigc resume {run.id}`"
        )
    return error


def _note_exit(run: Run, status: Status, code: int, step: int, message: str | None) -> None:
    """Record how the attempt ended; a failed write must not hide the error itself."""
    try:
        with run.edit_manifest() as manifest:
            manifest.end_attempt(status, code, step)
        write_status(run.path, status, step=step, message=message)  # last: a finished run is not opened again
    except OSError as error:
        log.error("the exit of %s could not be recorded: %s", run.id, error)


def note_exit_of_ranks(run: Run, cause: RankExit) -> None:
    """Record how a run of several ranks ended, where the first rank could not; call it once all have exited."""
    record = read_status(run.path)
    if record.status not in (Status.PENDING, Status.KILLED):
        return
    status = Status.KILLED if cause.killed else _STATUS.get(cause.code, Status.FAILED)
    with run.working():
        _log_cause(run, cause)
        _note_exit(run, status, cause.code, record.step or 0, cause.message)


def _log_cause(run: Run, cause: RankExit) -> None:
    """Append the first cause to the log."""
    with contextlib.suppress(OSError), run.log.open("a", encoding="utf-8") as file:
        file.write(f"rank {cause.rank} ended first: {cause.trace or cause.message}\n")


def _revert_attempt(run: Run, before: StatusRecord) -> None:
    """Undo the record of an attempt that was refused before its first step."""
    with run.edit_manifest() as manifest:
        manifest.attempts.pop()
    status = Status.KILLED if before.status is Status.RUNNING else before.status
    write_status(run.path, status, step=before.step, message=before.message, since=before.since, pid=0)


def main() -> int:
    """Train the run folder named on the command line, as the rank given by the environment."""
    bound_spinning()  # before torch is imported
    escape_unprintable()
    parser = argparse.ArgumentParser(prog="python -m aigc.launch.worker", description=__doc__)
    parser.add_argument("run", metavar="RUN_FOLDER")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="changes of the config in this attempt")
    parser.add_argument("--trust", action="append", default=[], metavar="PACKAGE", help="as for `aigc train`")
    options = parser.parse_args()
    trust(options.trust)
    if str(Path.cwd()) not in sys.path:  # as for `aigc`: a user's package is imported from the working directory
        sys.path.append(str(Path.cwd()))
    show_messages()
    with stop.listening():
        return _work_as_started(Path(options.run), options.overrides)


def _work_as_started(path: Path, overrides: Sequence[str]) -> int:
    """Train as the rank given by the environment, and return the exit code."""
    watched = LIFELINE in os.environ  # by a launcher that reports errors itself
    ranks, by_cluster, code = Ranks(), False, 0
    try:
        hold_lifeline()
        run = Run.open(path)
        by_cluster = adopt_ranks()
        ranks = read_ranks()
        cfg = attempt_config(run, overrides)
        settle_devices(cfg)
        check_ranks(ranks, cfg)
        if ranks.world_size == 1:
            save_first()
            work(PreparedRun(run), overrides)
        else:
            work_as_rank(run, ranks, overrides)
    except (Exception, KeyboardInterrupt) as error:
        if ranks.world_size > 1:
            RankExits(path).note(exit_of(ranks.rank, error))
        if not watched:
            log.error("%s", error if isinstance(error, AigcError) else f"{type(error).__name__}: {error}")
        code = exit_code(error)
    if code and ranks.world_size > 1:
        gc.collect()  # closes the connections held by the traceback, so that the other ranks notice
        if by_cluster:
            return RankExits(path).leave(ranks.rank, ranks.world_size, code)
        if not ranks.first:
            RankExits(path).wait_for([0])  # a launcher may kill all ranks when one exits, while the first still writes
    return code


if __name__ == "__main__":
    sys.exit(main())
