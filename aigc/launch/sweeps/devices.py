"""Where trials run: a GPU each, leased for the time of the trial, or a share of the processor."""

import os
import tempfile
from pathlib import Path
from typing import IO

from omegaconf import DictConfig

from aigc.errors import InputError
from aigc.launch.clusters.kinds import current_job
from aigc.runs.environment import available_cores
from aigc.runs.locks import try_lock


class Devices:
    """The places for trials on this machine.

    A GPU is held by a locked file, so that two sweeps on one machine never share one; the system lets go of it however
    the process that holds it ends. A job of a cluster has GPUs of its own, which it may number from 0 as others do.

    Args:
        cfg: The sweep's config.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.gpus = visible_gpus() if cfg.trainer.accelerator in ("auto", "gpu") else []
        per_trial = self._devices(cfg)
        cores = available_cores() or 1
        most = len(self.gpus) if self.gpus else cores
        self.workers: int = cfg.sweep.workers or max(1, most // per_trial)
        """Trials at once."""
        self.threads: int = cfg.trainer.num_threads or max(1, cores // (self.workers * per_trial))
        """Of each rank of each trial; all have equally many, as their number changes last digits."""

    def see(self, cfg: DictConfig) -> None:
        """Check that a trial can have a place at all; InputError where it asks for more GPUs than there are."""
        if self._gpus_of(cfg) and self._devices(cfg) > len(self.gpus):
            raise InputError(f"trainer.devices={cfg.trainer.devices}: there are {len(self.gpus)} GPUs here; give fewer")

    def lease(self, cfg: DictConfig) -> "Lease | None":
        """A place for one trial; None when all are taken."""
        wanted = self._devices(cfg)
        # Ranks are processes of their own, which are not told the number otherwise.
        threads = {"OMP_NUM_THREADS": str(self.threads)} if wanted > 1 else {}
        if not self._gpus_of(cfg):
            return Lease(threads, [])
        job = current_job()
        held: list[tuple[str, IO[str]]] = []
        for gpu in self.gpus:
            if len(held) < wanted and (file := _lock(gpu, job.id if job else "machine")) is not None:
                held.append((gpu, file))
        if len(held) < wanted:
            for _, file in held:
                file.close()
            return None
        chosen = {"CUDA_VISIBLE_DEVICES": ",".join(gpu for gpu, _ in held)}
        return Lease(chosen | threads, [file for _, file in held])

    def _devices(self, cfg: DictConfig) -> int:
        devices = cfg.trainer.devices
        return int(devices) if isinstance(devices, int) else max(1, len(self.gpus))

    def _gpus_of(self, cfg: DictConfig) -> list[str]:
        return self.gpus if cfg.trainer.accelerator in ("auto", "gpu") else []


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
        return [name for name in chosen.split(",") if name.strip() and not name.startswith("-")] if there else []
    return [str(number) for number in range(len(there))]


def _lock(gpu: str, owner: str) -> IO[str] | None:
    folder = Path(tempfile.gettempdir()) / f"aigc-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return try_lock(folder / f"{owner}-{gpu}.lock")
