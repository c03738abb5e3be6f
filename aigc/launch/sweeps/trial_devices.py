"""The devices of trials: GPUs that are leased for the time of a trial, or a share of the CPU cores."""

import os
import tempfile
from pathlib import Path
from typing import IO

from omegaconf import DictConfig

from aigc.errors import InputError
from aigc.launch.clusters.kinds import current_job
from aigc.launch.devices import check_cores, visible_gpus
from aigc.printing import plural
from aigc.runs.environment import available_cores
from aigc.runs.locks import try_lock


class TrialDevices:
    """The devices on which trials run on this machine.

    A lease of a GPU is a locked file, so that two sweeps on one machine never share a GPU; the system releases the lock
    however its process ends. Locks are separate for each job of a cluster, as jobs may all number their GPUs from 0.

    Args:
        cfg: The sweep's config.
    """

    def __init__(self, cfg: DictConfig) -> None:
        job = current_job()
        self._owner = job.id if job else "machine"
        self.gpus = visible_gpus() if cfg.trainer.accelerator in ("auto", "gpu") else []
        per_trial = self._devices(cfg)
        cores = available_cores() or 1
        most = len(self.gpus) if self.gpus else cores
        self.workers: int = cfg.sweep.workers or max(1, most // per_trial)
        """Number of concurrent trials."""
        own = None if job else _own_threads()  # the script of a job sets the variable for the whole job
        self.threads: int = cfg.trainer.num_threads or own or max(1, cores // (self.workers * per_trial))
        """Threads of each rank; the same for all trials, as their number changes last digits."""

    def check(self, cfg: DictConfig) -> None:
        """Check that a trial can run here; raises InputError where it needs more GPUs or cores than there are."""
        check_cores(cfg)
        if self._gpus_of(cfg) and self._devices(cfg) > len(self.gpus):
            raise InputError(
                f"trainer.devices={cfg.trainer.devices}: this machine has {plural(len(self.gpus), 'GPU')}; give fewer"
            )

    def lease(self, cfg: DictConfig) -> "Lease | None":
        """Lease the devices of one trial; None when too few are free."""
        wanted = self._devices(cfg)
        # Ranks are separate processes, which read the number from the environment.
        threads = {"OMP_NUM_THREADS": str(self.threads)} if wanted > 1 else {}
        if not self._gpus_of(cfg):
            return Lease(threads, [])
        held: list[tuple[str, IO[str]]] = []
        for gpu in self.gpus:
            if len(held) < wanted and (file := _lock(gpu, self._owner)) is not None:
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
    """The devices that one trial uses.

    Args:
        environment: Variables of the trial's process.
        files: Lock files, closed when the trial ends.
    """

    def __init__(self, environment: dict[str, str], files: list[IO[str]]) -> None:
        self.environment = environment
        self._files = files

    def release(self) -> None:
        """Release the devices for another trial."""
        for file in self._files:
            file.close()


def _own_threads() -> int | None:
    """Return the number of threads that a person has set; None where they have not."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # a list is for nested threads
    return int(first) if first.isdecimal() and int(first) > 0 else None


def _lock(gpu: str, owner: str) -> IO[str] | None:
    folder = Path(tempfile.gettempdir()) / f"aigc-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return try_lock(folder / f"{owner}-{gpu}.lock")
