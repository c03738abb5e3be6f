"""Lightning's view of the ranks: they are there already, and it starts none."""

import os

from pytorch_lightning.plugins.environments import ClusterEnvironment

from aigc.launch.ranks.group import Ranks


class StartedRanks(ClusterEnvironment):
    """Answers from `Ranks` alone, whatever a cluster or torchrun have left in the environment.

    Args:
        ranks: The place of this process.
    """

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self.ranks = ranks

    @property
    def creates_processes_externally(self) -> bool:
        """Lightning never runs the command line again."""
        return True

    @property
    def main_address(self) -> str:
        """Where the ranks meet."""
        return os.environ.get("MASTER_ADDR", "127.0.0.1")

    @property
    def main_port(self) -> int:
        """At which port."""
        return int(os.environ.get("MASTER_PORT", "0"))

    @staticmethod
    def detect() -> bool:
        """Only where it is given."""
        return False

    def world_size(self) -> int:
        """How many ranks there are."""
        return self.ranks.world_size

    def set_world_size(self, size: int) -> None:
        """It is known."""

    def global_rank(self) -> int:
        """The rank of this process."""
        return self.ranks.rank

    def set_global_rank(self, rank: int) -> None:
        """It is known."""

    def local_rank(self) -> int:
        """The rank of this process on its machine."""
        return self.ranks.local_rank

    def node_rank(self) -> int:
        """The number of this machine."""
        return self.ranks.rank // self.ranks.local_world_size
