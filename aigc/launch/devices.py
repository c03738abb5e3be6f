"""The devices of a run: resolve `auto`, and check that they exist."""

import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from aigc.errors import InputError
from aigc.printing import plural
from aigc.runs.environment import available_cores


def gpus(cfg: DictConfig) -> int | None:
    """Return how many GPUs are visible; None where the run does not use them."""
    import torch

    wanted = cfg.trainer.accelerator == "gpu" or (cfg.trainer.accelerator == "auto" and torch.cuda.is_available())
    return torch.cuda.device_count() if wanted else None


def own_device(cfg: DictConfig, local_rank: int) -> Any:
    """Return the torch.device of this rank."""
    import torch

    if gpus(cfg):
        return torch.device("cuda", local_rank)
    wants_mps = cfg.trainer.accelerator in ("auto", "mps") and torch.backends.mps.is_available()
    return torch.device("mps" if wants_mps else "cpu")


def check_cores(cfg: DictConfig) -> None:
    """Check that this machine has a CPU core for each rank that would be started here; torch is not needed.

    Each rank is a process with a copy of everything. A number of threads that was set means that a person has counted.

    Raises:
        InputError: There are more ranks than cores, and no GPUs.
    """
    devices, cores = cfg.trainer.devices, available_cores()
    on_cpu = cfg.trainer.accelerator == "cpu" or (cfg.trainer.accelerator == "auto" and not visible_gpus())
    if not isinstance(devices, int) or cores is None or not on_cpu or cfg.trainer.num_threads is not None:
        return
    if devices > max(1, cores):
        raise InputError(
            f"trainer.devices={devices}: this process may use {plural(cores, 'CPU core')}, and every rank is a "
            f"process of its own; give at most {cores}, or set trainer.num_threads=1 to start them all the same"
        )


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, by number, without torch."""
    installed = sorted(path.name for path in Path("/proc/driver/nvidia/gpus").glob("*"))
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name.strip() and not name.startswith("-")] if installed else []
    return [str(number) for number in range(len(installed))]


def settle_devices(cfg: DictConfig) -> None:
    """Resolve `trainer.devices=auto` to a number, so that a frozen config holds the number that was used.

    Args:
        cfg: Changed in place: `trainer.devices=auto` is every GPU, or one rank on a CPU.
    """
    if cfg.trainer.devices == "auto":
        cfg.trainer.devices = max(1, gpus(cfg) or 0)


def check_devices(cfg: DictConfig) -> None:
    """Check that this machine has the devices of the config.

    Raises:
        InputError: It does not; the message lists what it has.
    """
    import torch

    if cfg.trainer.accelerator == "mps" and not torch.backends.mps.is_available():
        raise InputError("trainer.accelerator=mps: this machine has no Apple GPU that torch can use")
    if cfg.trainer.accelerator == "mps" and cfg.trainer.devices > 1:
        raise InputError(f"trainer.devices={cfg.trainer.devices}: an Apple machine has one GPU; give 1")
    found, devices = gpus(cfg), cfg.trainer.devices
    if found == 0:
        raise InputError(
            "trainer.accelerator=gpu: torch sees no GPU here; check the driver, CUDA_VISIBLE_DEVICES and torch's CUDA "
            "version, or use trainer.accelerator=cpu"
        )
    if found is not None and devices > found:
        raise InputError(f"trainer.devices={devices}: torch sees {plural(found, 'GPU')} here; give {found} or fewer")
