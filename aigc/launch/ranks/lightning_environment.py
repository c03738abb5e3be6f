"""Lightning's cluster environment for ranks that have been started already."""

import os

from pytorch_lightning.plugins.environments import ClusterEnvironment

from aigc.launch.ranks.group import Ranks


class StartedRanks(ClusterEnvironment):
    """Answers from `Ranks` alone and ignores the environment variables of clusters and torchrun.

    Args:
        ranks: The rank of this process.
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
        """Address of the first rank."""
        return os.environ.get("MASTER_ADDR", "127.0.0.1")

    @property
    def main_port(self) -> int:
        """Port of the first rank."""
        return int(os.environ.get("MASTER_PORT", "0"))

    @staticmethod
    def detect() -> bool:
        """Never detected; it is passed explicitly."""
        return False

    def world_size(self) -> int:
        """Number of ranks."""
        return self.ranks.world_size

    def set_world_size(self, size: int) -> None:
        """Do nothing: it is known."""

    def global_rank(self) -> int:
        """The rank of this process."""
        return self.ranks.rank

    def set_global_rank(self, rank: int) -> None:
        """Do nothing: it is known."""

    def local_rank(self) -> int:
        """The rank of this process on its machine."""
        return self.ranks.local_rank

    def node_rank(self) -> int:
        """The index of this machine."""
        return self.ranks.rank // self.ranks.local_world_size
