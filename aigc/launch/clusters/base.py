"""The interface of a cluster: write and submit a batch script, query and cancel jobs, read a job's environment."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from aigc.config.problems import Problem
from aigc.errors import AigcError


class NoAnswer(AigcError):
    """A cluster did not confirm whether it accepted a job; the files that the job needs are kept."""


class JobState(StrEnum):
    """State of a job in a cluster's queue."""

    QUEUED = "queued"
    RUNNING = "running"
    GONE = "gone"


@dataclass(frozen=True)
class ClusterJob:
    """A job as the queue shows it.

    Args:
        state: Its state.
        reason: Why it waits or how it ended, as the cluster reports it; may be empty.
        cancelled: Whether a user cancelled it.
    """

    state: JobState
    reason: str = ""
    cancelled: bool = False

    def __str__(self) -> str:
        return f"{self.state} ({self.reason})" if self.reason else str(self.state)


@dataclass(frozen=True)
class CurrentJob:
    """The job that a process belongs to, as its environment says.

    Args:
        id: Its id, as `Cluster.queue` takes it.
        launch: Identifies this launch of the job; it changes when the job is requeued.
        task: Its number in a job array, from 0; None where it is not in one.
    """

    id: str
    launch: str
    task: int | None = None


@dataclass(frozen=True)
class JobArray:
    """Jobs that differ only in their task number.

    Args:
        tasks: How many there are.
        at_once: How many may run at the same time; None leaves it to the cluster.
    """

    tasks: int
    at_once: int | None = None


@dataclass(frozen=True)
class JobPlan:
    """What a batch script runs.

    Args:
        name: The job's name in the queue.
        folder: The working directory.
        log: Where the job's output goes.
        command: What each rank runs.
        python_path: Folders whose code comes before everything else.
        after: Command that runs once after the ranks failed; their exit code is appended.
        status: The run's status.json; None where the job is not one run.
        array: The tasks of a job array; None makes one job.
    """

    name: str
    folder: Path
    log: Path
    command: Sequence[str]
    python_path: Sequence[Path] = ()
    after: Sequence[str] = ()
    status: Path | None = None
    array: JobArray | None = None


class Cluster(ABC):
    """Base class of clusters. Methods use the settings of one job; class methods need only a job's id.

    A new kind is a subclass in a file of its own, and a YAML in `conf/cluster` with its name.
    """

    name = ""
    """The name in messages and in `conf/cluster`."""
    runs_locally = False
    """Whether runs execute in the process that starts them."""
    default = False
    """Whether it is used where a queue is needed and no cluster is named."""
    variables: tuple[str, ...] = ()
    """Environment variables that the manifest records for a job."""

    def problems(self, nodes: int, devices: int) -> Iterator[Problem]:
        """Yield what is wrong with the settings for a run with so many nodes and devices on each node."""
        yield from ()

    def code_limit(self) -> int | None:
        """Return how many bytes of code may be frozen with a run; None freezes no code."""
        return None

    @abstractmethod
    def check_ready(self) -> None:
        """Check that jobs can be submitted from this machine; raises InputError otherwise."""

    @abstractmethod
    def script(self, plan: JobPlan) -> str:
        """Return the batch script, which a person can read, edit and submit."""

    @abstractmethod
    def submit(self, script: Path) -> str:
        """Queue a batch script and return the job's id.

        Raises:
            InputError: The cluster refuses it; the message quotes the cluster's.
            NoAnswer: The job may or may not be queued.
        """

    @classmethod
    @abstractmethod
    def queue(cls, jobs: Sequence[str]) -> dict[str, ClusterJob]:
        """Return the jobs with these ids, in one call to the cluster; raises AigcError when it does not answer."""

    @classmethod
    @abstractmethod
    def interrupt(cls, job: str) -> None:
        """Send SIGINT to the ranks of a running job, so that they save and exit."""

    @classmethod
    @abstractmethod
    def cancel(cls, job: str) -> None:
        """Remove a job from the queue, or end it."""

    @classmethod
    def cancel_command(cls, job: str) -> str:
        """Return the command that a person types to end a job."""
        return f"the cluster's command to cancel job {job}"

    @classmethod
    def settings_for(cls, nodes: int, devices: int, on_gpus: bool) -> dict[str, Any]:
        """Return the settings of a job for a run with so many nodes and devices on each node."""
        return {}

    def for_array_task(self) -> Self:
        """Return a copy with one process for each task of an array, which starts the ranks of its trials itself.

        Raises:
            InputError: A trial has more than one node.
        """
        return self

    @classmethod
    def current_job(cls, environ: Mapping[str, str]) -> CurrentJob | None:
        """Return the job that a process belongs to, read from its environment; None outside of a job."""
        return None

    @classmethod
    def rank_variables(cls, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of torchrun (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE) for a rank of this cluster.

        Empty where the cluster starts one process and `aigc` starts the ranks. The batch script sets MASTER_ADDR and
        MASTER_PORT.

        Raises:
            InputError: The cluster's variables contradict each other.
        """
        return {}
