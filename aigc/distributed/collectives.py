"""Collectives, which all ranks must call. In a single process, each of them returns its argument."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ReduceOp


def world_size() -> int:
    """Return the number of ranks; 1 in a single process."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def all_sum(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over all ranks, by one all_reduce."""
    return sync_sum(tensor)[0] if world_size() > 1 else tensor


def all_mean(tensor: Tensor) -> Tensor:
    """Return the mean of a tensor over all ranks, by one all_reduce; differentiable.

    Its derivative includes the effect on the losses of all ranks, so that the mean of the ranks' gradients is the
    gradient of the mean of their losses. Every rank must call it and run its backward pass.
    """
    if world_size() == 1:
        return tensor
    mean: Tensor = _Mean.apply(tensor)
    return mean


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.detach().clone()
        dist.all_reduce(total)
        return total / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return all_mean(gradient)  # the mean is its own adjoint


def all_true(condition: bool) -> bool:
    """Return whether a condition holds on every rank."""
    return bool(reduce_number(int(condition), ReduceOp.MIN))


def reduce_number(value: Tensor | float, op: Any = ReduceOp.SUM) -> float:
    """Reduce a number over all ranks, in float64; waits for the device.

    Args:
        value: A number, or a tensor of one element.
        op: A `torch.distributed.ReduceOp`.
    """
    if world_size() == 1:
        return float(value)
    shared = torch.tensor(float(value), dtype=torch.float64, device=_device(torch.device("cpu"), None))
    dist.all_reduce(shared, op=op)
    return float(shared)


def gather_objects(value: Any) -> list[Any]:
    """Return the objects of all ranks in their order."""
    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def sync_sum(state: Tensor, group: Any = None) -> list[Tensor]:
    """Sum a metric's state over the ranks by one all_reduce: the `dist_sync_fn` of a torchmetrics metric.

    Returns:
        A list of one tensor, as torchmetrics reduces a list.
    """
    total = state.to(_device(state.device, group), copy=True)
    dist.all_reduce(total, group=group)
    return [total.to(state.device)]


def sync_bytes(state: Tensor, group: Any = None) -> list[Tensor]:
    """Concatenate the bytes of a metric's state, of any length per rank; return a list of one tensor, as `sync_sum`."""
    device = _device(state.device, group)
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


def _device(device: torch.device, group: Any) -> torch.device:
    """Return a device that the backend supports: NCCL sends only from GPUs."""
    if dist.get_backend(group) == "nccl" and device.type == "cpu":
        return torch.device("cuda", torch.cuda.current_device())
    return device
