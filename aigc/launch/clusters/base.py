"""What a kind of cluster does: write a batch script, queue it, report on jobs, end them, know them from inside."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from aigc.config.problems import Problem
from aigc.errors import AigcError


class NoAnswer(AigcError):
    """A cluster has not said whether it took a job: what the job needs is kept."""


class JobState(StrEnum):
    """What a cluster does with a job."""

    QUEUED = "queued"
    RUNNING = "running"
    GONE = "gone"


@dataclass(frozen=True)
class ClusterJob:
    """A job as the queue shows it.

    Args:
        state: What the cluster does with it.
        reason: Why it waits or how it ended, in the cluster's word; empty where it says nothing.
        cancelled: Whether a person has cancelled it.
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
        launch: Names this launch of the job, which differs after it was requeued.
        task: Its number in a job array, from 0; None where it is not in one.
    """

    id: str
    launch: str
    task: int | None = None


@dataclass(frozen=True)
class JobArray:
    """Jobs that differ in their number alone.

    Args:
        tasks: How many there are.
        at_once: How many may run at the same time; None leaves it to the cluster.
    """

    tasks: int
    at_once: int | None = None


@dataclass(frozen=True)
class JobPlan:
    """What a batch script shall do.

    Args:
        name: The job's name in the queue.
        folder: The working directory.
        log: Where the job's output goes.
        command: What each rank runs.
        python_path: Folders whose code comes before everything else.
        after: What runs once when the ranks have failed without a word; their exit code is added.
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
    """Where runs execute. What belongs to one job is a method; what only needs a job's id is a class method.

    A new kind is a subclass in a file of its own, and a YAML in `conf/cluster` with its name.
    """

    name = ""
    """How messages and `conf/cluster` call it."""
    here = False
    """Whether runs execute in the process that starts them."""
    default = False
    """Whether it is taken where a queue is needed and none is named."""
    variables: tuple[str, ...] = ()
    """Environment variables that describe a job, for the manifest."""

    def problems(self, nodes: int, devices: int) -> Iterator[Problem]:
        """What is wrong with the settings, and with a run of that many nodes and devices on each."""
        yield from ()

    def limit_of_code(self) -> int | None:
        """Bytes of code that may be frozen with a run; None freezes none."""
        return None

    @abstractmethod
    def check_ready(self) -> None:
        """Check that jobs can be submitted from this machine; InputError where not."""

    @abstractmethod
    def script(self, plan: JobPlan) -> str:
        """The batch script, which a person can read, edit and submit."""

    @abstractmethod
    def submit(self, script: Path) -> str:
        """Queue a batch script and return the job's id.

        Raises:
            InputError: The cluster refuses it; the message has its words.
            NoAnswer: It may be queued or not.
        """

    @classmethod
    @abstractmethod
    def queue(cls, jobs: Sequence[str]) -> dict[str, ClusterJob]:
        """The jobs of these ids, in one call to the cluster; AigcError when it does not answer."""

    @classmethod
    @abstractmethod
    def interrupt(cls, job: str) -> None:
        """Send SIGINT to the ranks of a running job, so that they save and end."""

    @classmethod
    @abstractmethod
    def cancel(cls, job: str) -> None:
        """Take a job out of the queue, or end it."""

    @classmethod
    def cancel_command(cls, job: str) -> str:
        """What a person types to end a job."""
        return f"the cluster's command to cancel job {job}"

    @classmethod
    def settings_for(cls, nodes: int, devices: int, on_gpus: bool) -> dict[str, Any]:
        """Settings of a job for a run with so many nodes and devices on each."""
        return {}

    def for_array_task(self) -> Self:
        """The cluster with one process for each task of an array, which starts the ranks of its trials itself.

        Raises:
            InputError: A trial has more than one node.
        """
        return self

    @classmethod
    def current_job(cls, environ: Mapping[str, str]) -> CurrentJob | None:
        """The job of this cluster that a process belongs to, by its environment; None outside of one."""
        return None

    @classmethod
    def rank_variables(cls, environ: Mapping[str, str]) -> dict[str, str]:
        """What torchrun would set (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE) for a rank of this cluster.

        Empty where the cluster starts one process, and `aigc` the ranks. MASTER_ADDR and MASTER_PORT are up to the
        batch script.

        Raises:
            InputError: The cluster's variables contradict each other.
        """
        return {}
