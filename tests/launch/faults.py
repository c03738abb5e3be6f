"""Faults to inject into a child of the fork server: slow disks, small disks, and points where it waits for a signal."""

import os
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


def forget_parent() -> None:
    """Reset the random generators, as in a new process."""
    random.seed(os.getpid())
    np.random.seed(os.getpid())
    torch.manual_seed(os.getpid())


def count_calls(place: str, file: str) -> None:
    """Write the number of calls of a function to a file."""
    _before(*_found(place), lambda called: Path(file).write_text(str(called)))


def slow_writes(seconds: float) -> None:
    """Make each of the few hundred writes of a checkpoint slow."""
    from aigc.callbacks.checkpoint_io import _Hashed

    _before(_Hashed, "write", lambda count: time.sleep(seconds))


def slow_disk(seconds: float) -> None:
    """Wait after each change of the file system, so that a kill often comes between two changes."""
    for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "rename"), (Path, "unlink"), (Path, "symlink_to")):
        _after(owner, name, seconds)


def wait_in(place: str, marker: str, count: int = 1, for_ever: bool = False) -> None:
    """At the n-th call of a function touch `marker`, and wait until `marker`.go exists.

    Args:
        place: module:Class.function or module:function.
        marker: A file.
        count: Which call waits, from 1.
        for_ever: Never go on.
    """

    def wait(called: int) -> None:
        if called != count:
            return
        Path(marker).touch()
        while for_ever or not Path(f"{marker}.go").exists():
            time.sleep(0.01)

    _before(*_found(place), wait)


def file_size_limit(size: int, place: str, count: int = 1) -> None:
    """From the n-th call of a function on, limit the size of files, as a quota does."""

    def limit(called: int) -> None:
        if called == count:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    _before(*_found(place), limit)


def cut_row(number: int) -> None:
    """Write only a part of the n-th row of metrics.jsonl, and later rows completely, as when space is freed."""
    from aigc.runs.metrics_writer import MetricsFile

    original, calls = MetricsFile._write, 0

    def write(self: MetricsFile, line: bytes) -> None:
        nonlocal calls
        calls += 1
        size = self.path.stat().st_size + 20 if calls == number else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        original(self, line)

    MetricsFile._write = write


def non_finite_loss(step: int, value: float) -> None:
    """Make the loss of one step non-finite."""
    from aigc.tasks import CausalLM

    original = CausalLM.token_losses

    def token_losses(self: CausalLM, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        losses = original(self, logits, labels)
        return losses * value if self.steps_done == step - 1 else losses

    CausalLM.token_losses = token_losses


def out_of_device_memory(step: int) -> None:
    """Raise the out-of-memory error of a device."""
    from aigc.tasks import CausalLM

    def refuse(called: int) -> None:
        if called == step:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    _before(CausalLM, "training_step", refuse)


def out_of_host_memory(step: int) -> None:
    """Limit the memory of the process to what it has, and allocate more."""
    from aigc.tasks import CausalLM

    def want(called: int) -> None:
        if called == step:
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
            torch.empty(1 << 30)

    _before(CausalLM, "training_step", want)


def _found(place: str) -> tuple[Any, str]:
    """Return the owner and the name of a function given as module:Class.function or module:function."""
    module, _, path = place.partition(":")
    owner: Any = __import__(module, fromlist=["_"])
    *names, function = path.split(".")
    for name in names:
        owner = getattr(owner, name)
    return owner, function


def _before(owner: Any, name: str, call: Callable[[int], None]) -> None:
    """Call `call` before each call of a function, with the number of calls so far."""
    original = getattr(owner, name)
    calls = 0

    def patched(*arguments: Any, **settings: Any) -> Any:
        nonlocal calls
        calls += 1
        call(calls)
        return original(*arguments, **settings)

    setattr(owner, name, patched)


def _after(owner: Any, name: str, seconds: float) -> None:
    original = getattr(owner, name)

    def patched(*arguments: Any, **settings: Any) -> Any:
        value = original(*arguments, **settings)
        time.sleep(seconds)
        return value

    setattr(owner, name, patched)
