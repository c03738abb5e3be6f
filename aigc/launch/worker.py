"""Works on one run folder: trains what its frozen config says, and leaves the model and the scores there.

`python -m aigc.launch.worker RUN_FOLDER` is what a launcher starts for each rank; one device needs no launcher. A run
that has a checkpoint is gone on with, so that the same command again is all that a cluster needs.
"""

import contextlib
import errno
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from aigc.errors import AigcError, InputError, exit_code, is_out_of_memory
from aigc.launch.attempt import attempt_config
from aigc.launch.components import is_first_rank
from aigc.launch.memory import advice
from aigc.launch.train import Training
from aigc.runs import Run, stop
from aigc.runs.console import kept_in, log, show_messages
from aigc.runs.files import remove_half_written
from aigc.runs.heartbeat import Heartbeat
from aigc.runs.manifest import close_dead_attempts, new_attempt
from aigc.runs.status import Status, StatusRecord, read_status, utc_now, write_status

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_STATUS = {3: Status.DIVERGED, 4: Status.OUT_OF_MEMORY, 75: Status.PREEMPTED, 130: Status.INTERRUPTED}


def work(run: Run, overrides: Sequence[str] = (), until: int | None = None) -> None:
    """Train a run to its end, from its newest checkpoint or from the start.

    Args:
        run: The run.
        overrides: What differs from its config in this attempt and those after it; checked by the caller.
        until: Stop after this step as if it were never there: without its validation and without a model.

    Raises:
        AigcError: The run was stopped or failed; status.json and the manifest say how, as for any other exception.
    """
    until = until or run.manifest.get(
        "until_step"
    )  # a reproduction of the first steps ends there when it is resumed, too
    if not is_first_rank():
        Training(run, attempt_config(run), Heartbeat(run.path)).train(until)
        return
    with run.working(), kept_in(run.log):
        before = read_status(run.path)
        if before.status is Status.FINISHED:
            return  # another process was faster
        remove_half_written(run.path)
        beat = Heartbeat(run.path, step=before.step or 0)
        with run.edit_manifest() as manifest:
            close_dead_attempts(manifest, run.path)
            manifest["attempts"].append(new_attempt(beat.step) | {"overrides": list(overrides)})
        code, message = 0, None
        try:
            with _stoppable(run, beat), beat:
                cfg = attempt_config(run)
                Training(run, cfg, beat).train(until)
        except BaseException as error:
            told = _told(run, error, beat.step)
            code, message = exit_code(told), " ".join(str(told).split()) or type(told).__name__
            if told is not error:
                raise told from error
            raise
        finally:
            status = _STATUS.get(code, Status.FAILED) if code else Status.FINISHED
            if code == InputError.exit_code and len(run.manifest["attempts"]) > 1 and beat.step <= (before.step or 0):
                _take_back(run, before)
            else:
                _note_end(run, status, code, beat.step, message)


@contextlib.contextmanager
def _stoppable(run: Run, beat: Heartbeat) -> Iterator[None]:
    """Listen for signals; a second one has the status written before the process ends at once."""

    def at_once(number: int) -> None:
        beat.stop(timeout=1)
        status = _STATUS[stop.exit_for(number).exit_code]
        write_status(run.path, status, step=beat.step, message="ended at once by a second signal")

    with stop.listening(at_once):
        yield


def _told(run: Run, error: BaseException, step: int) -> BaseException:
    """The error as a person should hear of it."""
    number = stop.asked()
    # A signal to the whole job may first be felt as the death of a data worker, or in a handler of Lightning's.
    if number is not None and ("DataLoader worker" in str(error) or isinstance(error, KeyboardInterrupt)):
        return stop.ended_by(number)
    if is_out_of_memory(error):
        said = str(error).partition(". ")[0]
        told = AigcError(f"out of memory after step {step}: {said}\n{advice(run.config, error)}")
        told.__cause__ = error  # the exit code is read from it
        return told
    if isinstance(error, OSError) and error.errno in _DISK:
        what = f"{error.filename}: " if error.filename else ""
        return AigcError(
            f"{what}{error.strerror}. What was saved before is intact; make room, then `aigc resume {run.id}`"
        )
    return error


def _note_end(run: Run, status: Status, code: int, step: int, message: str | None) -> None:
    """Write how it ended; a disk that refuses even that must not hide why."""
    try:
        with run.edit_manifest() as manifest:
            end = {"end": utc_now(), "exit_code": code, "status": str(status), "to_step": step}
            manifest["attempts"][-1] |= end
        write_status(run.path, status, step=step, message=message)  # last: a finished run is not opened again
    except OSError as error:
        log.error("the end of %s could not be written down: %s", run.id, error)


def _take_back(run: Run, before: StatusRecord) -> None:
    """An attempt that was refused before it took a step leaves the run as it was."""
    with run.edit_manifest() as manifest:
        manifest["attempts"].pop()
    status = Status.KILLED if before.status is Status.RUNNING else before.status
    write_status(run.path, status, step=before.step, message=before.message, since=before.since, pid=0)


def main() -> int:
    """Work on the run folder named on the command line."""
    show_messages()
    try:
        with stop.listening():
            work(Run.open(Path(sys.argv[1])))
    except (Exception, KeyboardInterrupt) as error:
        log.error("%s", error if isinstance(error, AigcError) else f"{type(error).__name__}: {error}")
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
