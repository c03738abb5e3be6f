"""Averaging the gradients of one of several networks over the ranks, without DistributedDataParallel."""

from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby

import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, distributed, nn
from torch.utils.hooks import RemovableHandle

_BUCKETS = 4
_BUCKET_BYTES = 25 * 2**20  # at most, as in DistributedDataParallel


class BareDDP(DDPStrategy):
    """A process group without a wrapper: the task that steps the optimisers averages the gradients.

    DistributedDataParallel expects gradients of all parameters from each backward pass; in a GAN each pass computes
    those of one network.
    """

    def configure_ddp(self) -> None:
        """Wrap nothing."""


class AveragedGradients:
    """Averages one network's gradients over all ranks.

    On an accelerator they are sent in buckets during the backward pass. On a CPU, where that would slow down the pass,
    they are sent together after it.

    Args:
        network: The network. All ranks must use the same parameters in a step, and frozen parameters must stay frozen.
    """

    def __init__(self, network: nn.Module) -> None:
        whole = list(network.parameters())
        parameters = [one for one in whole[::-1] if one.requires_grad]  # the last layers have their gradients first
        self._buckets = _split(parameters, 1 if whole[0].device.type == "cpu" else _BUCKETS)
        self._bucket_of = {one: number for number, bucket in enumerate(self._buckets) for one in bucket}
        self._missing: list[int] = []
        self._sent: list[_Message] = []
        self._alarm = whole[0].new_zeros(())
        self._followers: Sequence[Tensor] = ()
        self._hooks: list[RemovableHandle] = [
            one.register_post_accumulate_grad_hook(self._arrived)  # type: ignore[no-untyped-call]
            for one in parameters
        ]

    def close(self) -> None:
        """Remove the hooks."""
        for hook in self._hooks:
            hook.remove()

    def begin(self, alarm: bool = False, followers: Sequence[Tensor] = ()) -> None:
        """Prepare for the last backward pass of a step.

        Args:
            alarm: Whether this rank raises an alarm, which `finish` returns on all ranks.
            followers: Tensors that receive the values of the first rank, such as running statistics.
        """
        self._missing = [len(bucket) for bucket in self._buckets]
        self._alarm.fill_(float(alarm))
        self._followers = [tensor.detach() for tensor in followers]

    def finish(self) -> bool:
        """Complete the averaging, after that backward pass.

        Returns:
            On a CPU, whether any rank raised an alarm; False elsewhere, as reading it would synchronise the device.
        """
        self._missing = []
        while len(self._sent) < len(self._buckets):
            self._send()
        for message in self._sent:
            message.receive()
        self._sent = []
        return self._alarm.device.type == "cpu" and bool(self._alarm > 0)

    def _arrived(self, parameter: nn.Parameter) -> None:
        """Send full buckets, in the order that is the same on all ranks."""
        if self._missing:
            self._missing[self._bucket_of[parameter]] -= 1
            while len(self._sent) < len(self._buckets) and self._missing[len(self._sent)] == 0:
                self._send()

    def _send(self) -> None:
        gradients = [one.grad for one in self._buckets[len(self._sent)] if one.grad is not None]
        last = len(self._sent) == len(self._buckets) - 1
        self._sent.append(_Message([*gradients, self._alarm], self._followers) if last else _Message(gradients))


class _Message:
    """One flat tensor that is reduced over the ranks.

    Args:
        averaged: Tensors that become their means over all ranks.
        followers: Tensors that receive the values of the first rank.
    """

    def __init__(self, averaged: Sequence[Tensor], followers: Sequence[Tensor] = ()) -> None:
        self._tensors = [*averaged, *followers]
        self._flat = torch.cat([tensor.flatten() for tensor in self._tensors]) if self._tensors else torch.empty(0)
        self._averaged = self._flat[: sum(tensor.numel() for tensor in averaged)]
        if distributed.get_rank() > 0:
            self._flat[len(self._averaged) :] = 0  # the sum is that of the first rank, to the bit
        self._work = distributed.all_reduce(self._flat, async_op=True) if self._tensors else None

    def receive(self) -> None:
        """Wait for the others, and copy the results into the tensors."""
        if self._work is None:
            return
        self._work.wait()
        self._averaged /= distributed.get_world_size()
        parts = torch.split(self._flat, [tensor.numel() for tensor in self._tensors])
        shaped = [part.view(tensor.shape) for part, tensor in zip(parts, self._tensors, strict=True)]
        torch._foreach_copy_(self._tensors, shaped)


def _split(parameters: list[nn.Parameter], number: int) -> list[list[nn.Parameter]]:
    """Group neighbours into about `number` buckets of equal size, or more if they would be too large."""
    if not parameters:
        return [[]]
    sizes = [one.numel() * one.element_size() for one in parameters]
    size = sum(sizes) if number == 1 else min(_BUCKET_BYTES, -(-sum(sizes) // number))
    indices = [(end - 1) // size for end in accumulate(sizes)]
    pairs = groupby(zip(indices, parameters, strict=True), key=lambda pair: pair[0])
    return [[parameter for _, parameter in group] for _, group in pairs]


def share_first(tensors: Iterable[Tensor]) -> None:
    """Broadcast tensors from the first rank to all others, in place."""
    for tensor in tensors:
        distributed.broadcast(tensor.detach(), 0)
