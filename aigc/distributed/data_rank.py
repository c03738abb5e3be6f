"""Which part of the data this process takes: ranks that compute one batch together take the same one."""

import torch

_together = 1


def compute_together(ranks: int) -> None:
    """From now on so many ranks in a row take the same batches; the strategy tells."""
    global _together
    _together = ranks


def data_rank() -> tuple[int, int]:
    """This process's place among those that have batches of their own, and how many these are; (0, 1) alone."""
    return (torch.distributed.get_rank() // _together, count_ranks() // _together) if count_ranks() > 1 else (0, 1)


def count_ranks() -> int:
    """How many ranks there are in all; 1 in a process of its own."""
    joined = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if joined else 1
