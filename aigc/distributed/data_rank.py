"""The data rank of a process: its index among the groups of ranks that read different batches."""

import torch

from aigc.distributed.collectives import world_size

_together = 1


def compute_together(ranks: int) -> None:
    """Set how many consecutive ranks read the same batches."""
    global _together
    _together = ranks


def data_rank() -> tuple[int, int]:
    """Return the data rank of this process and the number of data ranks; (0, 1) in a single process."""
    if world_size() == 1:
        return 0, 1
    return torch.distributed.get_rank() // _together, world_size() // _together
