"""No cluster: runs execute on this machine, in the process that starts them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from aigc.config.problems import Problem
from aigc.errors import InputError
from aigc.launch.clusters.base import Cluster, ClusterJob, JobPlan


class Local(Cluster):
    """This machine; it has no queue."""

    name = "local"
    runs_locally = True

    def problems(self, nodes: int, devices: int) -> Iterator[Problem]:
        """Refuse more than one node."""
        if nodes > 1:
            what = f"{nodes}, but this is one machine; several need a cluster: `aigc submit cluster.nodes={nodes}`"
            yield Problem("trainer.nodes", what)

    def check_ready(self) -> None:
        """Raise InputError: there is no queue."""
        raise self._no_queue()

    def script(self, plan: JobPlan) -> str:
        """Raise InputError: there is no queue."""
        raise self._no_queue()

    def submit(self, script: Path) -> str:
        """Raise InputError: there is no queue."""
        raise self._no_queue()

    @classmethod
    def queue(cls, jobs: Sequence[str]) -> dict[str, ClusterJob]:
        """Raise InputError: there is no queue."""
        raise cls._no_queue()

    @classmethod
    def interrupt(cls, job: str) -> None:
        """Raise InputError: there is no queue."""
        raise cls._no_queue()

    @classmethod
    def cancel(cls, job: str) -> None:
        """Raise InputError: there is no queue."""
        raise cls._no_queue()

    @staticmethod
    def _no_queue() -> InputError:
        return InputError("cluster=local has no queue: run it here with `aigc train`, or name another cluster")
