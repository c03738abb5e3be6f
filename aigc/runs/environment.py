"""The software environment of a run: installed packages, environment variables, and the source of aigc."""

import hashlib
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import aigc
from aigc.files.secrets import redact_mapping

PACKAGES = (
    *("aigc", "torch", "pytorch-lightning", "transformers", "hydra-core", "omegaconf", "torchmetrics", "tokenizers"),
    *("datasets", "numpy", "sacrebleu", "nltk", "wandb", "safetensors"),
)
"""The packages most likely to change numbers; they are listed first, and a missing one is null."""

_VARIABLES = frozenset(
    (
        *(
            "PYTHONHASHSEED",
            "PYTHONPATH",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "TMPDIR",
            "LANG",
            "LC_ALL",
            "LC_CTYPE",
            "TZ",
        ),
        *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "NVIDIA_TF32_OVERRIDE"),
        *("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "TOKENIZERS_PARALLELISM"),
        *("RANK", "LOCAL_RANK", "WORLD_SIZE", "AIGC_OUTPUTS", "AIGC_CACHE"),
    )
)
_FAMILIES = (
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "DNNL_", "ONEDNN_"),
    *("CUBLAS", "CUDNN_", "NCCL_", "GLOO_", "TORCH", "PYTORCH_"),
)
# Paths, ranks, and variables that libraries set; the hardware section records which GPUs are visible.
_WITHOUT_EFFECT = re.compile(
    r"TMPDIR|LANG|LC_.*|TZ|AIGC_.*|.*_OFFLINE|TOKENIZERS_PARALLELISM|CUDA_VISIBLE_DEVICES|CUDA_DEVICE_ORDER|"
    r"CUDA_LAUNCH_BLOCKING|CUBLAS_WORKSPACE_CONFIG|TORCH_HOME|.*_DIR|.*_DEBUG|.*_LOGS?|RANK|LOCAL_RANK|"
    r"KMP_(INIT_AT_FORK|DUPLICATE_LIB_OK|BLOCKTIME)|GOMP_SPINCOUNT|OMP_WAIT_POLICY|PYTORCH_NVML_BASED_CUDA_CHECK"
)


@cache
def package_versions() -> dict[str, str | None]:
    """Return all installed distributions by normalised name with their versions, those of `PACKAGES` first."""
    from importlib.metadata import distributions  # 30 ms, which `aigc ls` does not need

    found: dict[str, str] = {}
    for distribution in distributions():
        # The first one on the path is imported; a damaged one has no name.
        if distribution.name and distribution.version:
            found.setdefault(normalised(distribution.name), distribution.version)
    found.setdefault("aigc", aigc.__version__)
    return {name: found.get(name) for name in PACKAGES} | dict(sorted(found.items()))


def available_cores() -> int | None:
    """Return how many CPU cores this process may use; None where the system does not report it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def normalised(name: str) -> str:
    """Normalise a distribution's name as package indexes do: `Foo.Bar_baz` becomes `foo-bar-baz`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the recorded environment variables, sorted and with secrets replaced.

    Args:
        variables: The environment; None means that of this process.
    """
    variables = os.environ if variables is None else variables
    allowed = {name: variables[name] for name in sorted(variables) if _is_kept(name)}
    return redact_mapping(allowed)


def may_change_numbers(variable: str) -> bool:
    """Return whether this environment variable can change numbers."""
    return _is_kept(variable) and _WITHOUT_EFFECT.fullmatch(variable) is None


def _is_kept(variable: str) -> bool:
    return variable in _VARIABLES or variable.startswith(_FAMILIES)


@cache
def source_digest() -> str:
    """Return one SHA-256 of the names and contents of aigc's Python files on disk."""
    package = Path(aigc.__file__).parent
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(package).as_posix()}\0{content}\n".encode())
    return total.hexdigest()
