"""Moving averages of weights, whose half-life is counted in images and not in steps."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList


class Averaged(nn.Module):
    """A copy of a network with averaged weights.

    The running statistics of batch normalisation are averaged with them, as they belong to weights as old. Averages are
    spectrally normalised by their own largest singular values, from a power iteration a step. All other buffers are
    copied.

    It is a submodule of the task, and so in each checkpoint; optimisers do not see it.

    Args:
        network: The network.
        half_life: Images after which a weight counts half; 0 copies the weights.
        ramp_up: Limits the half-life to this share of the images seen so far (Karras et al., 2020), so that the first
            weights have little influence; None does not.
    """

    def __init__(self, network: nn.Module, half_life: float, ramp_up: float | None = 0.05) -> None:
        super().__init__()
        self.module = deepcopy(network).requires_grad_(False)
        self.half_life = half_life
        self.ramp_up = ramp_up

    def decay(self, images: int, seen: int) -> float:
        """Return the factor of the old average: 0.5 ** (images / half-life).

        Args:
            images: In the last step, of all ranks.
            seen: In all steps before it.
        """
        half_life = self.half_life if self.ramp_up is None else min(self.half_life, seen * self.ramp_up)
        return float(0.5 ** (images / half_life)) if half_life > 0 else 0.0

    @torch.no_grad()
    def update(self, network: nn.Module, images: int, seen: int) -> None:
        """Move towards the network's weights; arguments as of `decay`."""
        share = 1 - self.decay(images, seen)
        averaged, copied = _apart(self.module), _apart(network)
        torch._foreach_lerp_(averaged[0], copied[0], share)
        if averaged[1]:
            torch._foreach_copy_(averaged[1], copied[1])
        for layer in self.module.modules():
            if isinstance(layer, ParametrizationList) and isinstance(layer[0], _SpectralNorm):
                layer[0].train()(layer.original)
                layer[0].eval()  # so that making images does not change it


def _apart(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return what is averaged (weights, and the running statistics that belong to them) and what is copied."""
    running, others = [], []
    for layer in network.modules():
        for name, buffer in layer.named_buffers(recurse=False):
            if name in ("running_mean", "running_var"):
                running.append(buffer)
            elif not isinstance(layer, _SpectralNorm):
                others.append(buffer)
    return [*(parameter.detach() for parameter in network.parameters()), *running], others
