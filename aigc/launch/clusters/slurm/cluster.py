"""SLURM: settings of a job, named as in sbatch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from aigc.config.problems import Problem
from aigc.config.types import Bound
from aigc.errors import InputError
from aigc.launch.clusters.base import Cluster, ClusterJob, CurrentJob, JobArray, JobPlan
from aigc.launch.clusters.slurm import commands, job_environment
from aigc.launch.clusters.slurm.script import ScriptSettings, batch_script

_TIME = re.compile(r"\d+|\d+:\d\d|(\d+-)?\d+:\d\d:\d\d|\d+-\d+(:\d\d)?")
_MEMORY = re.compile(r"\d+([KMGT]B?)?", re.IGNORECASE)


@dataclass
class Slurm(Cluster):
    """A SLURM job; settings that are null are left to the partition."""

    nodes: Annotated[int, Bound(1)] = 1
    """Machines."""
    gpus: Annotated[int, Bound(0)] = 1
    """GPUs on each node; 0 for a job on CPUs."""
    tasks: Annotated[int, Bound(0)] = 1
    """Ranks on each node: one for each GPU unless set otherwise."""
    cpus: Annotated[int, Bound(1)] | None = None
    """CPU cores for each rank."""
    memory: str | int | None = None
    """Memory of each node: 32G, or a number of megabytes."""
    time: str | int = "01:00:00"
    """Time limit: "hours:minutes:seconds" or "days-hours"; quote it in YAML, which reads 24:00:00 as a number."""
    partition: str | None = None
    """The partition, or several with commas."""
    account: str | None = None
    """The account that is charged."""
    qos: str | None = None
    """Quality of service."""
    constraint: str | None = None
    """Features that the nodes must have."""
    exclude: str | None = None
    """Nodes that must not be used."""
    mail_user: str | None = None
    """Who receives mail."""
    mail_type: str | None = None
    """Events that send mail, such as END,FAIL."""
    signal_before: Annotated[int, Bound(0, 65535)] = 120
    """Seconds before the limit at which the run is asked to save and exit; SLURM may be a minute early."""
    requeue: Literal["auto", "never"] = "auto"
    """Whether a run that was stopped by the time limit or preempted returns to the queue by itself."""
    max_requeues: Annotated[int, Bound(0)] = 10
    """The most times that it may."""
    setup: list[str] = field(default_factory=list)
    """Shell commands before the ranks start, such as `module load cuda`."""
    sbatch: dict[str, Any] = field(default_factory=dict)
    """More options of sbatch by their long names; the settings above take precedence, sbatch refuses unknown names."""
    freeze_code: bool = True
    """Copy the code into the run folder, so that later edits do not affect a queued run."""
    code_megabytes: Annotated[int, Bound(1)] = 200
    """Largest size of the copy."""

    name = "slurm"
    default = True
    variables = job_environment.VARIABLES

    def problems(self, nodes: int, devices: int) -> Iterator[Problem]:
        """Yield what sbatch would not report, or would report too late."""
        if self.tasks == 0:
            what = "0 ranks on each node; without GPUs set their number, such as cluster.tasks=1"
            yield Problem("cluster.tasks", what)
            return
        for key, mine, run in (("nodes", self.nodes, nodes), ("tasks", self.tasks, devices)):
            theirs = {"nodes": "nodes", "tasks": "devices"}[key]
            if mine != run:
                what = (
                    f"{run}, but cluster.{key} is {mine}: for a new run give cluster.{key} alone, which sets both; "
                    f"to resume a run, add trainer.{theirs}={mine} resume.allow=[world_size]"
                )
                yield Problem(f"trainer.{theirs}", what)
        if not isinstance(self.time, str) or not _TIME.fullmatch(self.time):
            what = f'{self.time!r} is not a time; write hours:minutes:seconds, in YAML with quotes: "01:30:00"'
            yield Problem("cluster.time", what)
        elif 0 < _seconds(self.time) <= self.signal_before:
            what = f"{self.signal_before} seconds before the limit of {self.time} the run has not started; give fewer"
            yield Problem("cluster.signal_before", what)
        if self.memory is not None and not _MEMORY.fullmatch(str(self.memory)):
            yield Problem("cluster.memory", f"{self.memory!r} is not a size; write 32G, 500M, or a number of megabytes")

    def code_limit(self) -> int | None:
        """Return how many bytes of code may be frozen with a run; None freezes no code."""
        return self.code_megabytes * 1_000_000 if self.freeze_code else None

    def check_ready(self) -> None:
        """Check that sbatch is installed."""
        commands.check_installed()

    def script(self, plan: JobPlan) -> str:
        """Return the batch script."""
        requeues = self.max_requeues if self.requeue == "auto" else 0
        settings = ScriptSettings(self.setup, self.cpus, self.nodes * self.tasks, requeues)
        return batch_script(self._options(plan), plan, settings)

    def _options(self, plan: JobPlan) -> dict[str, Any]:
        """Return the options of sbatch, in the order in which they are written."""
        own = {
            "job-name": plan.name,
            "chdir": plan.folder,
            "output": str(plan.log).replace("%", "%%"),
            "open-mode": "append",
            "array": None if plan.array is None else _task_numbers(plan.array),
            "nodes": self.nodes,
            "ntasks-per-node": self.tasks,
            "gpus-per-node": self.gpus or None,
            "cpus-per-task": self.cpus,
            "mem": self.memory,
            "time": self.time,
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "exclude": self.exclude,
            "mail-user": self.mail_user,
            "mail-type": self.mail_type,
            "signal": f"USR1@{self.signal_before}" if self.signal_before else None,
            "requeue" if self.requeue == "auto" else "no-requeue": True,
        }
        given = {name: value for name, value in own.items() if value is not None}
        return given | {name: value for name, value in self.sbatch.items() if name not in given}

    def submit(self, script: Path) -> str:
        """Submit it with sbatch."""
        return commands.sbatch(script)

    @classmethod
    def queue(cls, jobs: Sequence[str]) -> dict[str, ClusterJob]:
        """Query squeue, which needs no accounting."""
        return commands.squeue(jobs)

    @classmethod
    def interrupt(cls, job: str) -> None:
        """Signal the ranks, not the script."""
        commands.scancel(job, "--signal=INT")

    @classmethod
    def cancel(cls, job: str) -> None:
        """Remove a job from the queue, or end it."""
        commands.scancel(job)

    @classmethod
    def cancel_command(cls, job: str) -> str:
        """Return the call of scancel."""
        return f"scancel {job}"

    @classmethod
    def settings_for(cls, nodes: int, devices: int, on_gpus: bool) -> dict[str, Any]:
        """Return settings with one rank for each device."""
        return {"nodes": nodes, "tasks": devices, "gpus": devices if on_gpus else 0}

    def for_array_task(self) -> "Slurm":
        """Return a copy with one process that has the cores of all ranks of a trial."""
        if self.nodes > 1:
            what = f"cluster.nodes={self.nodes}: a trial in a job array has one node; submit such runs one by one"
            raise InputError(what)
        if self.tasks == 1:
            return self
        if self.cpus is None and self.gpus:  # what the partition has for a GPU
            return replace(self, tasks=1)
        return replace(self, tasks=1, cpus=(self.cpus or 1) * self.tasks)

    @classmethod
    def current_job(cls, environ: Mapping[str, str]) -> CurrentJob | None:
        """Return the job by SLURM_JOB_ID and related variables."""
        return job_environment.current_job(environ)

    @classmethod
    def rank_variables(cls, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of torchrun by SLURM_PROCID and related variables."""
        return job_environment.rank_variables(environ)


def _task_numbers(array: JobArray) -> str:
    """Return the tasks in the syntax of sbatch."""
    return f"0-{array.tasks - 1}" + (f"%{array.at_once}" if array.at_once else "")


def _seconds(time: str) -> int:
    """Convert a time in the syntax of sbatch; 0 means no limit."""
    days, dash, rest = time.rpartition("-")
    numbers = [int(number) for number in rest.split(":")]
    if not dash and len(numbers) < 3:
        numbers = [0, *numbers]  # minutes come first, and hours where there are days
    hours, minutes, seconds = [*numbers, 0, 0][:3]
    return 86400 * int(days or 0) + 3600 * hours + 60 * minutes + seconds
