"""The operations a second that GPUs can do, as their makers say, without sparsity."""

import torch

_PEAKS: list[tuple[tuple[str, ...], float, float | None]] = [
    (("B200",), 2250e12, None),
    (("H200", "NVL"), 835e12, 60e12),
    (("H200",), 989e12, 67e12),
    (("H100", "PCIe"), 756e12, 51e12),
    (("H100", "NVL"), 835e12, 60e12),
    (("H100",), 989e12, 67e12),
    (("A100",), 312e12, 19.5e12),
    (("L40S",), 362e12, 91.6e12),
    (("L4",), 121e12, 30.3e12),
    (("A6000",), 154.8e12, 38.7e12),
    (("RTX", "4090"), 165e12, 82.6e12),
    (("RTX", "3090"), 71e12, 35.6e12),
    (("MI300X",), 1307e12, 163.4e12),
]
"""Words of a name, and the peaks in bfloat16 or float16 and in float32; the first row whose words all occur counts."""
_OTHERS = {"Laptop", "MIG", "D", "Ti"}
"""Words of other, mostly slower, GPUs of the same number, and of parts of one."""


def peak_flops(device: torch.device, half: bool) -> float | None:
    """Return the peak of a device; None where it is not known, as of CPUs.

    Args:
        device: The device.
        half: Whether matrices are multiplied in bfloat16 or float16; else in float32, without TF32.
    """
    if device.type != "cuda" or not (half or torch.get_float32_matmul_precision() == "highest"):
        return None
    return peak_of_name(torch.cuda.get_device_name(device), half)


def peak_of_name(name: str, half: bool) -> float | None:
    """Return the peak of a GPU by its name, such as `NVIDIA A100-SXM4-80GB`; None where it is not known."""
    words = set(name.replace("-", " ").split())
    found = next((row for row in _PEAKS if words.issuperset(row[0])), None) if words.isdisjoint(_OTHERS) else None
    return None if found is None else found[1] if half else found[2]
