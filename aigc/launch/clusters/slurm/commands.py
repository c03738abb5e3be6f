"""SLURM's own programs: sbatch, squeue, scancel. None of them needs accounting."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from aigc.errors import AigcError, InputError
from aigc.launch.clusters.base import ClusterJob, JobState, NoAnswer

_PATIENCE = 60.0
_UNREACHABLE = ("Could not establish a configuration source", "Unable to contact slurm controller")
_UNHEARD = ("Socket timed out", "Zero Bytes were transmitted")
"""What sbatch says when it has asked and heard nothing: the controller may have taken the job."""
_QUEUED = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_RUNNING = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")


def check_installed() -> None:
    """Check that this machine can submit.

    Raises:
        InputError: It has no sbatch.
    """
    if shutil.which("sbatch") is None:
        raise InputError(
            "there is no sbatch here: submit from a machine of the cluster, run here with `aigc train`, or see the "
            "script with `aigc submit --dry-run`"
        )


def sbatch(script: Path) -> str:
    """Queue a script and return the job's id.

    Raises:
        InputError: sbatch refuses it, or reaches no controller; the message has its words.
        NoAnswer: sbatch did not come to an end, and squeue shows no such job yet.
    """
    check_installed()
    try:
        done = _run("sbatch", "--parsable", str(script))
    except AigcError as error:
        return _job_of(script, str(error))
    if done.returncode < 0 or any(words in done.stderr for words in _UNHEARD):
        return _job_of(script, _said(done))
    if any(words in done.stderr for words in _UNREACHABLE):
        raise InputError(f"this machine reaches no SLURM controller; sbatch says: {_said(done)}")
    if done.returncode:
        raise InputError(f"sbatch refuses the job: {_said(done)}")
    return done.stdout.strip().splitlines()[-1].partition(";")[0]


def _job_of(script: Path, why: str) -> str:
    """The id of the job that a batch script waits or runs as, from the queue, as sbatch has not told it."""
    try:
        lines = _run("squeue", "--noheader", "--me", "--format=%F|%o").stdout.splitlines()
    except (AigcError, OSError):
        lines = []
    found = [int(job) for job, _, command in (line.partition("|") for line in lines) if command == str(script)]
    if found:
        return str(max(found))
    raise NoAnswer(
        f"{why}: the job may be queued all the same, and {script.parent} is kept for it. See whether "
        "`squeue --me` shows it before you submit again"
    )


def squeue(jobs: Sequence[str]) -> dict[str, ClusterJob]:
    """What the queue knows of these jobs, in one call; those it does not know any more are gone.

    Raises:
        AigcError: squeue is not there, or has no answer.
    """
    if shutil.which("squeue") is None:
        raise AigcError("there is no squeue here")
    done = _run("squeue", "--noheader", "--states=all", "--format=%i|%T|%r", f"--jobs={','.join(jobs)}")
    if done.returncode and "Invalid job id" not in done.stderr:
        raise AigcError(_said(done))
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
    """Signal or end a job; one that has ended by itself meanwhile is not an error.

    Raises:
        AigcError: scancel refuses; the message has its words.
    """
    if shutil.which("scancel") is None:
        raise AigcError(f"there is no scancel here to end job {job} with: use a machine of the cluster")
    done = _run("scancel", *options, job)
    ended = "Invalid job id" in done.stderr or "already completing" in done.stderr
    if done.returncode and not ended:
        raise AigcError(f"scancel refuses job {job}: {_said(done)}")


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired as error:
        raise AigcError(f"{command[0]} did not answer within {_PATIENCE:g} s") from error


def _said(done: "subprocess.CompletedProcess[str]") -> str:
    """Its words in one line, without the program's name before each."""
    lines = [line.removeprefix(f"{done.args[0]}: ") for line in done.stderr.splitlines() if line.strip()]
    return " ".join(lines) or f"{done.args[0]} ended with {done.returncode}"
