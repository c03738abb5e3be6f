"""Describe the machine for the manifest, as far as that needs torch."""

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
    """Describe the machine for the manifest; call it once the trainer is built, as that sets the flags.

    The processor is read again, as the run folder may have been made on another machine.
    """
    return {
        "hardware": hardware() | describe_devices(),
        "threads": describe_threads(),
        "determinism": describe_determinism(),
        "environment": environment() | job_variables(),
    }


def describe_devices() -> dict[str, Any]:
    """Describe accelerators and their libraries."""
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
    """Return how many threads torch uses; sums are split among them, so the number changes last digits."""
    return {"torch": torch.get_num_threads(), "torch_interop": torch.get_num_interop_threads()}


def describe_determinism() -> dict[str, Any]:
    """Return the flags that decide reproducibility and precision."""
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
    except RuntimeError:  # torch refuses to read these once both the old and the new API have set them
        return "mixed"


def _driver() -> str | None:
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"\b\d{3,}\.[\d.]+\b", text)
    return found[0] if found else None
