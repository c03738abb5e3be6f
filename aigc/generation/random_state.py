"""Random draws that repeat, and that leave the generators of training as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def fixed_random_state(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's generators, and restore those of the CPU and of this device at the end.

    Args:
        device: Where networks draw, beside the CPU.
        seed: The same seed gives the same draws.
    """
    module: Any = None if device.type == "cpu" else torch.get_device_module(device)
    where = () if device.type == "mps" else (device,)  # there is one such device, and older versions take no argument
    of_cpu = torch.get_rng_state()
    of_device = None if module is None else module.get_rng_state(*where)
    try:
        torch.manual_seed(seed)
        yield
    finally:
        torch.set_rng_state(of_cpu)
        if module is not None:
            module.set_rng_state(of_device, *where)
