"""What a run has to know of the machine once torch is there."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from aigc.launch.clusters.kinds import job_variables
from aigc.runs.environment import environment
from aigc.runs.origin import hardware


def describe_machine() -> dict[str, Any]:
    """Everything the manifest holds of the machine; call it when the trainer is built, as that sets the flags.

    The processor is read again: a run may have been made on another machine than the one that works on it.
    """
    return {
        "hardware": hardware() | describe_devices(),
        "threads": describe_threads(),
        "determinism": describe_determinism(),
        "environment": environment() | job_variables(),
    }


def describe_devices() -> dict[str, Any]:
    """Accelerators and the libraries that compute on them."""
    gpus = [
        {"name": p.name, "memory": p.total_memory, "capability": f"{p.major}.{p.minor}"}
        for p in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    ]
    return {
        "gpus": gpus,
        "cuda": torch.version.cuda if gpus else None,
        "cudnn": torch.backends.cudnn.version() if gpus else None,  # type: ignore[no-untyped-call]
        "driver": _driver() if gpus else None,
        "torch_build": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def describe_threads() -> dict[str, int]:
    """How many threads an operation of torch uses: sums are split among them, so the number changes last digits."""
    return {"torch": torch.get_num_threads(), "torch_interop": torch.get_num_interop_threads()}


def describe_determinism() -> dict[str, Any]:
    """The flags that decide whether a computation gives the same bits twice, and with how many digits."""
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    algorithms = ("warn" if warn_only else "on") if torch.are_deterministic_algorithms_enabled() else "off"
    return {
        "deterministic_algorithms": algorithms,
        "fill_uninitialized": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "matmul_precision": _flag(torch.get_float32_matmul_precision),
        "tf32_matmul": _flag(lambda: torch.backends.cuda.matmul.allow_tf32),
        "tf32_cudnn": _flag(lambda: torch.backends.cudnn.allow_tf32),
        "bf16_reduced_precision": _flag(lambda: torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction),
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }


def _flag(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except RuntimeError:  # torch refuses to read these once both its older and its newer names were set
        return "mixed"


def _driver() -> str | None:
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"\b\d{3,}\.[\d.]+\b", text)
    return found[0] if found else None
