"""No cluster: runs execute on this machine, in the process that starts them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from aigc.config.problems import Problem
from aigc.errors import InputError
from aigc.launch.clusters.base import Cluster, ClusterJob, JobPlan


class Local(Cluster):
    """This machine; it has no queue."""

    name = "local"
    here = True

    def problems(self, nodes: int, devices: int) -> Iterator[Problem]:
        """One machine is one node."""
        if nodes > 1:
            what = f"{nodes}, but this is one machine: several are a cluster's, `aigc submit cluster.nodes={nodes}`"
            yield Problem("trainer.nodes", what)

    def check_ready(self) -> None:
        """Refuse: there is nothing to submit to."""
        raise self._no_queue()

    def script(self, plan: JobPlan) -> str:
        """Refuse."""
        raise self._no_queue()

    def submit(self, script: Path) -> str:
        """Refuse."""
        raise self._no_queue()

    @classmethod
    def queue(cls, jobs: Sequence[str]) -> dict[str, ClusterJob]:
        """Refuse."""
        raise cls._no_queue()

    @classmethod
    def interrupt(cls, job: str) -> None:
        """Refuse."""
        raise cls._no_queue()

    @classmethod
    def cancel(cls, job: str) -> None:
        """Refuse."""
        raise cls._no_queue()

    @staticmethod
    def _no_queue() -> InputError:
        return InputError("cluster=local has no queue: `aigc train` runs here; name another cluster")
