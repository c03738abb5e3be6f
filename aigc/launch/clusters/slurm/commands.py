"""Calls of sbatch, squeue and scancel. None of them needs accounting."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from aigc.errors import AigcError, InputError
from aigc.launch.clusters.base import ClusterJob, JobState, NoAnswer

_TIMEOUT = 60.0
_UNREACHABLE = ("Could not establish a configuration source", "Unable to contact slurm controller")
_NO_REPLY = ("Socket timed out", "Zero Bytes were transmitted")
"""Messages of sbatch after a request without a reply: the controller may have accepted the job."""
_QUEUED = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_RUNNING = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")


def check_installed() -> None:
    """Check that this machine can submit jobs.

    Raises:
        InputError: sbatch is not installed.
    """
    if shutil.which("sbatch") is None:
        raise InputError(
            "sbatch is not installed here: submit from a machine of the cluster, run here with `aigc train`, or print "
            "the script with `aigc submit --dry-run`"
        )


def sbatch(script: Path) -> str:
    """Submit a script and return the job's id.

    Raises:
        InputError: sbatch refuses it, or reaches no controller; the message quotes sbatch.
        NoAnswer: sbatch did not finish, and squeue shows no such job yet.
    """
    check_installed()
    try:
        done = _run("sbatch", "--parsable", str(script))
    except AigcError as error:
        return _find_job(script, str(error))
    if done.returncode < 0 or any(words in done.stderr for words in _NO_REPLY):
        return _find_job(script, _message(done))
    if any(words in done.stderr for words in _UNREACHABLE):
        raise InputError(f"this machine cannot reach a SLURM controller; sbatch says: {_message(done)}")
    if done.returncode:
        raise InputError(f"sbatch refuses the job: {_message(done)}")
    if not done.stdout.strip():
        return _find_job(script, "sbatch printed no job id")
    return done.stdout.strip().splitlines()[-1].partition(";")[0]


def _find_job(script: Path, why: str) -> str:
    """Find the id of a batch script's job in the queue, where sbatch has not returned it."""
    try:
        lines = _run("squeue", "--noheader", "--me", "--format=%F|%o").stdout.splitlines()
    except (AigcError, OSError):
        lines = []
    found = [int(job) for job, _, command in (line.partition("|") for line in lines) if command == str(script)]
    if found:
        return str(max(found))
    raise NoAnswer(
        f"{why}: the job may still be queued, so {script.parent} is kept. Check `squeue --me` before you submit again"
    )


def squeue(jobs: Sequence[str]) -> dict[str, ClusterJob]:
    """Query the queue for these jobs in one call; jobs that it does not know any more are gone.

    Raises:
        AigcError: squeue is not installed, or does not answer.
    """
    if shutil.which("squeue") is None:
        raise AigcError("squeue is not installed here")
    done = _run("squeue", "--noheader", "--states=all", "--format=%i|%T|%r", f"--jobs={','.join(jobs)}")
    if done.returncode and "Invalid job id" not in done.stderr:
        raise AigcError(_message(done))
    found = dict.fromkeys(jobs, ClusterJob(JobState.GONE))
    for line in done.stdout.splitlines():
        job, state, reason = [*line.strip().split("|"), "", ""][:3]
        if job in found:
            found[job] = _job(state, reason)
    return found


def _job(state: str, reason: str) -> ClusterJob:
    if state in _QUEUED:
        return ClusterJob(JobState.QUEUED, reason if reason != "None" else "")
    if state in _RUNNING:
        return ClusterJob(JobState.RUNNING, "" if state == "RUNNING" else state)
    return ClusterJob(JobState.GONE, state, cancelled=state == "CANCELLED")


def scancel(job: str, *options: str) -> None:
    """Send a signal to a job or end it; a job that has ended meanwhile is not an error.

    Raises:
        AigcError: scancel refuses; the message quotes scancel.
    """
    if shutil.which("scancel") is None:
        raise AigcError(f"scancel is not installed here: cancel job {job} from a machine of the cluster")
    done = _run("scancel", *options, job)
    ended = "Invalid job id" in done.stderr or "already completing" in done.stderr
    if done.returncode and not ended:
        raise AigcError(f"scancel refuses job {job}: {_message(done)}")


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT
        )
    except subprocess.TimeoutExpired as error:
        raise AigcError(f"{command[0]} did not answer within {_TIMEOUT:g} s") from error


def _message(done: "subprocess.CompletedProcess[str]") -> str:
    """Join its error messages into one line, without the program's name before each."""
    lines = [line.removeprefix(f"{done.args[0]}: ") for line in done.stderr.splitlines() if line.strip()]
    return " ".join(lines) or f"{done.args[0]} ended with {done.returncode}"
