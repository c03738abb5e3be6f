"""Gradient clipping by the global norm, also where weights are split over different groups of ranks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate


def clip_by_norm(parameters: Sequence[nn.Parameter], limit: float) -> Tensor:
    """Scale gradients in place so that their global norm is at most the limit.

    Returns:
        The norm before clipping, a scalar that is the same on all ranks.
    """
    of_mesh: dict[Any, list[nn.Parameter]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            of_mesh.setdefault(getattr(parameter.grad, "device_mesh", None), []).append(parameter)
    if not of_mesh:
        return torch.zeros(())
    norms = [nn.utils.get_total_norm([one.grad for one in group if one.grad is not None]) for group in of_mesh.values()]
    whole = [norm.full_tensor() if isinstance(norm, DTensor) else norm for norm in norms]
    total = whole[0] if len(whole) == 1 else torch.linalg.vector_norm(torch.stack(whole))
    for mesh, group in of_mesh.items():
        placed = total if mesh is None else DTensor.from_local(total, mesh, [Replicate()] * mesh.ndim, run_check=False)
        nn.utils.clip_grads_with_norm_(group, limit, placed)
    return total
