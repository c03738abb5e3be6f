"""Several ranks and two networks: gradients are averaged phase by phase, without a wrapper around both."""

from collections.abc import Iterable

import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn


class BareDDP(DDPStrategy):
    """A process group alone: whoever steps the optimisers averages the gradients.

    DistributedDataParallel expects gradients of all parameters from each backward pass, and a GAN's give those of one
    network.
    """

    def configure_ddp(self) -> None:
        """Wrap nothing."""


def average_gradients(parameters: Iterable[nn.Parameter], ranks: int, alarm: bool = False) -> bool:
    """Replace gradients by their means over all ranks: one reduction of one flat tensor.

    Args:
        parameters: Of one network.
        ranks: How many there are.
        alarm: Something that all ranks should know of.

    Returns:
        On a CPU, whether any rank has given an alarm; elsewhere that would stop the device, and it is False.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if ranks == 1 or not gradients:
        return False
    flat = torch.cat([*(gradient.flatten() for gradient in gradients), gradients[0].new_full((1,), float(alarm))])
    torch.distributed.all_reduce(flat)
    flat /= ranks
    _put_back(flat[:-1], gradients)
    return flat.device.type == "cpu" and bool(flat[-1] > 0)


@torch.no_grad()
def share_first(tensors: Iterable[Tensor], ranks: int) -> None:
    """Give all ranks what the first one has: running statistics follow each rank's own images otherwise."""
    if ranks == 1:
        return
    of_kind: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        of_kind.setdefault((tensor.dtype, tensor.device), []).append(tensor.detach())
    for alike in of_kind.values():
        flat = torch.cat([tensor.flatten() for tensor in alike])
        torch.distributed.broadcast(flat, 0)
        _put_back(flat, alike)


def _put_back(flat: Tensor, tensors: list[Tensor]) -> None:
    """Copy parts of a flat tensor into those that it was made of."""
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    torch._foreach_copy_(tensors, [part.view(one.shape) for part, one in zip(parts, tensors, strict=True)])
