"""Where trials run: a GPU each, leased for the time of the trial, or a share of the processor."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

from omegaconf import DictConfig


class Devices:
    """The places for trials on this machine.

    A GPU is held by a locked file, so that two sweeps on one machine never share one; the system lets go of it however
    the process that holds it ends.

    Args:
        cfg: The sweep's config.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.gpus = visible_gpus() if cfg.trainer.accelerator in ("auto", "gpu") else []
        self.per_trial = cfg.trainer.devices if isinstance(cfg.trainer.devices, int) else max(1, len(self.gpus))
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        most = len(self.gpus) if self.gpus else cores
        self.workers: int = cfg.sweep.workers or max(1, most // self.per_trial)
        """Trials at once."""
        self.threads: int = cfg.trainer.num_threads or max(1, cores // (self.workers * self.per_trial))
        """Of each trial; all trials have equally many, as their number changes last digits."""

    def lease(self) -> "Lease | None":
        """A place for one trial; None when all are taken."""
        if not self.gpus:
            return Lease({}, [])
        held: list[tuple[str, IO[str]]] = []
        for gpu in self.gpus:
            if len(held) < self.per_trial and (file := _lock(gpu)) is not None:
                held.append((gpu, file))
        if len(held) < self.per_trial:
            for _, file in held:
                file.close()
            return None
        return Lease({"CUDA_VISIBLE_DEVICES": ",".join(gpu for gpu, _ in held)}, [file for _, file in held])


class Lease:
    """A place that one trial has.

    Args:
        environment: Variables of the trial's process.
        files: Are closed when it ends.
    """

    def __init__(self, environment: dict[str, str], files: list[IO[str]]) -> None:
        self.environment = environment
        self._files = files

    def give_back(self) -> None:
        """Let another trial have it."""
        for file in self._files:
            file.close()


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, by number; found without torch."""
    there = sorted(path.name for path in Path("/proc/driver/nvidia/gpus").glob("*"))
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name.strip()] if there else []
    return [str(number) for number in range(len(there))]


def _lock(gpu: str) -> IO[str] | None:
    folder = Path(tempfile.gettempdir()) / f"aigc-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = (folder / f"{gpu}.lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
