"""What every cluster can do: write a script, take it, tell of its queue, tell a job to end."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

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
    """

    state: JobState
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.state} ({self.reason})" if self.reason else str(self.state)


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
        array: Task numbers of a job array in the cluster's grammar, such as `0-5%2`; None makes one job.
    """

    name: str
    folder: Path
    log: Path
    command: Sequence[str]
    python_path: Sequence[Path] = ()
    after: Sequence[str] = ()
    status: Path | None = None
    array: str | None = None


class Cluster(ABC):
    """Where runs execute. What belongs to one job is a method; what only needs a job's id is a class method."""

    name = ""
    """How messages call it."""
    here = False
    """Whether runs execute in the process that starts them."""

    def problems(self, nodes: int, devices: int) -> Iterator[Problem]:
        """What is wrong with the settings, and with a run of that many nodes and devices on each."""
        yield from ()

    def limit_of_code(self) -> int | None:
        """Bytes of code that may be frozen with a run; None freezes none."""
        return None

    @abstractmethod
    def check_ready(self) -> None:
        """See that jobs can be submitted from this machine; InputError where not."""

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
