"""What a run has to know of the machine once torch is there."""

from typing import Any

import torch


def describe_devices() -> dict[str, Any]:
    """Accelerators, threads and libraries, for the manifest."""
    gpus = [
        {"name": p.name, "memory": p.total_memory, "capability": f"{p.major}.{p.minor}"}
        for p in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    ]
    return {
        "gpus": gpus,
        "cuda": torch.version.cuda if gpus else None,
        "cudnn": torch.backends.cudnn.version() if gpus else None,  # type: ignore[no-untyped-call]
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
