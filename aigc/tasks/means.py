"""Means of values between two records, summed on the device they come from."""

import torch
from torch import Tensor


class Means:
    """Sums and counts by name; nothing waits for the device before `take`."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add a value, or the mean of a tensor."""
        added = value.detach().float().mean()
        self._sums[name] = self._sums[name] + added if name in self._sums else added
        self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, Tensor]:
        """Return the means by name, scalars on their devices, and reset."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means

    def state(self) -> dict[str, tuple[Tensor, int]]:
        """Return the state for `load_state`."""
        return {name: (total.cpu(), self._counts[name]) for name, total in self._sums.items()}

    def load_state(self, state: dict[str, tuple[Tensor, int]], device: torch.device) -> None:
        """Restore the sums, on a device."""
        self._sums = {name: total.to(device) for name, (total, _) in state.items()}
        self._counts = {name: count for name, (_, count) in state.items()}
