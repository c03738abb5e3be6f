"""How metrics put the states of several ranks together: the `dist_sync_fn` of a torchmetrics metric."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from aigc.distributed.data_rank import count_ranks


def sum_over_ranks(state: Tensor, group: Any = None) -> list[Tensor]:
    """The sum of a tensor over the ranks, by one all_reduce; a list of one, as torchmetrics reduces a list."""
    total = state.to(_device(state, group), copy=True)
    dist.all_reduce(total, group=group)
    return [total.to(state.device)]


def gather_bytes(state: Tensor, group: Any = None) -> list[Tensor]:
    """The bytes of all ranks in a row, of whatever number on each; a list of one, as torchmetrics joins a list."""
    device = _device(state, group)
    length = torch.tensor([state.numel()], device=device)
    lengths = [torch.empty_like(length) for _ in range(dist.get_world_size(group))]
    dist.all_gather(lengths, length, group=group)
    longest = int(torch.stack(lengths).max())
    padded = torch.zeros(longest, dtype=state.dtype, device=device)
    padded[: state.numel()] = state.reshape(-1)
    rows = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(rows, padded, group=group)
    parts = [row[: int(number)] for row, number in zip(rows, lengths, strict=True)]
    return [torch.cat(parts).to(state.device)]


def all_sum(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over all ranks, by one all_reduce; the tensor itself in a process alone."""
    return sum_over_ranks(tensor)[0] if count_ranks() > 1 else tensor


def reduce_number(value: Tensor | float, op: Any, device: torch.device) -> float:
    """Reduce a number over all ranks, in float64; the number itself in a process alone. Waits for the device.

    Args:
        value: A number, or a tensor of one element.
        op: A `torch.distributed.ReduceOp`.
        device: A device that the backend can send from.
    """
    if count_ranks() == 1:
        return float(value)
    shared = torch.tensor(float(value), dtype=torch.float64, device=device)
    dist.all_reduce(shared, op=op)
    return float(shared)


def _device(state: Tensor, group: Any) -> torch.device:
    """Where the ranks can talk: NCCL knows nothing but GPUs."""
    if dist.get_backend(group) == "nccl" and state.device.type == "cpu":
        return torch.device("cuda", torch.cuda.current_device())
    return state.device
