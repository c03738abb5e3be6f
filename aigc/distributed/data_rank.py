"""The part of the data that this process takes: ranks that compute one batch together take the same one."""

import torch

from aigc.distributed.collectives import world_size

_together = 1


def compute_together(ranks: int) -> None:
    """Set how many ranks in a row take the same batches, from now on."""
    global _together
    _together = ranks


def data_rank() -> tuple[int, int]:
    """Return this process's number among those with batches of their own, and how many these are; (0, 1) alone."""
    if world_size() == 1:
        return 0, 1
    return torch.distributed.get_rank() // _together, world_size() // _together
